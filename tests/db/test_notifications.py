"""A notification is one row, however often it is wanted, and is not sent once it is out."""

from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import notifications
from db.engine import Database
from domain.event import CancelReason
from domain.mail import Delivery, Refused, Sent, Unsent
from domain.money import Money
from domain.notice import Position, Told
from domain.task import Notice
from tests.builders import a_placement, place, put_products

CONFIRMED, CANCELLED = Notice.ORDER_CONFIRMED, Notice.ORDER_CANCELLED


@pytest.fixture
async def order_id(database: Database) -> UUID:
    await put_products(database, PEAR=10, APPLE=10)
    [placed] = await place(database, a_placement(("PEAR", 1), ("APPLE", 2)))
    return placed


async def _rows(tx: AsyncConnection) -> list[tuple[str, str, str, str | None, bool]]:
    query = """
        SELECT kind, recipient, state, error, sent_at IS NOT NULL FROM notifications ORDER BY kind
        """
    return [tuple(row) for row in await tx.execute(text(query))]


async def test_notification_is_noted_and_tells_of_its_order(
    tx: AsyncConnection, order_id: UUID
) -> None:
    told = await notifications.insert(tx, [(order_id, CONFIRMED)])

    assert told == {
        (order_id, CONFIRMED): Told(
            order_id,
            "ann@example.com",
            Money(1500, "GBP"),
            None,
            [
                Position("Product PEAR", 1, Money(500, "GBP")),
                Position("Product APPLE", 2, Money(1000, "GBP")),
            ],
        )
    }
    assert await _rows(tx) == [("order_confirmed", "ann@example.com", "pending", None, False)]


async def test_cancellation_tells_the_reason(tx: AsyncConnection, order_id: UUID) -> None:
    cancel = "UPDATE orders SET status = 'cancelled', cancel_reason = 'expired' WHERE id = :id"
    await tx.execute(text(cancel), {"id": order_id})

    [told] = (await notifications.insert(tx, [(order_id, CANCELLED)])).values()

    assert told.cancel_reason is CancelReason.EXPIRED


async def test_line_is_told_by_the_name_it_was_ordered_by(
    tx: AsyncConnection, order_id: UUID
) -> None:
    await tx.execute(text("UPDATE variants SET name = 'Poire' WHERE sku = 'PEAR'"))

    [told] = (await notifications.insert(tx, [(order_id, CONFIRMED)])).values()

    assert [position.name for position in told.positions] == ["Product PEAR", "Product APPLE"]


async def test_line_of_before_names_were_kept_is_told_by_its_sku_once_the_variant_is_gone(
    tx: AsyncConnection, order_id: UUID
) -> None:
    await tx.execute(text("UPDATE order_lines SET name = NULL"))
    await tx.execute(
        text("ALTER TABLE stock_movements DISABLE TRIGGER stock_movements_append_only")
    )
    await tx.execute(text("DELETE FROM stock_movements WHERE sku = 'PEAR'"))
    await tx.execute(text("DELETE FROM stock WHERE sku = 'PEAR'"))
    await tx.execute(text("DELETE FROM variants WHERE sku = 'PEAR'"))

    [told] = (await notifications.insert(tx, [(order_id, CONFIRMED)])).values()

    assert [position.name for position in told.positions] == ["PEAR", "Product APPLE"]


async def test_notification_wanted_again_stays_one_row_until_it_is_out(
    tx: AsyncConnection, order_id: UUID
) -> None:
    key = (order_id, CONFIRMED)
    first = await notifications.insert(tx, [key])
    await notifications.record(tx, [(key, Unsent("no relay"))])

    assert await notifications.insert(tx, [key]) == first
    assert await _rows(tx) == [("order_confirmed", "ann@example.com", "pending", None, False)]


async def test_notification_wanted_twice_in_one_group_is_one_row(
    tx: AsyncConnection, order_id: UUID
) -> None:
    told = await notifications.insert(tx, [(order_id, CONFIRMED)] * 2)

    assert list(told) == [(order_id, CONFIRMED)]
    assert len(await _rows(tx)) == 1


@pytest.mark.parametrize(
    ("delivery", "row"),
    [
        (Sent(), ("order_confirmed", "ann@example.com", "sent", None, True)),
        (Refused("550"), ("order_confirmed", "ann@example.com", "refused", "550", False)),
    ],
)
async def test_notification_that_is_out_or_refused_is_left_out(
    tx: AsyncConnection, order_id: UUID, delivery: Delivery, row: tuple[str, ...]
) -> None:
    keys = [(order_id, CONFIRMED), (order_id, CANCELLED)]
    await notifications.insert(tx, keys)

    await notifications.record(tx, [(keys[0], delivery)])

    assert list(await notifications.insert(tx, keys)) == [keys[1]]
    pending = ("order_cancelled", "ann@example.com", "pending", None, False)
    assert await _rows(tx) == [pending, row]


async def test_deliveries_are_written_each_to_its_own_notification(
    tx: AsyncConnection, database: Database
) -> None:
    await put_products(database, APPLE=10)
    one, two = await place(database, *(a_placement(("APPLE", 1)) for _ in range(2)))
    keys = [(one, CONFIRMED), (one, CANCELLED), (two, CONFIRMED)]
    await notifications.insert(tx, keys)

    await notifications.record(
        tx, [(keys[0], Sent()), (keys[1], Refused("550")), (keys[2], Unsent("later"))]
    )

    assert list(await notifications.insert(tx, keys)) == [keys[2]]


async def test_nothing_delivered_writes_nothing(tx: AsyncConnection) -> None:
    await notifications.record(tx, [])
    assert await notifications.insert(tx, []) == {}
