"""Orders are read as they were placed and listed newest first, by whatever they are narrowed."""

from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import events, orders
from db.engine import Database, transaction
from db.ids import new_id
from db.orders import Filter
from domain import order
from domain.event import CancelReason
from domain.refusal import NotFound
from domain.status import Status
from tests.builders import a_placement, place, put_products

CANCEL = partial(order.cancel, reason=CancelReason.CUSTOMER)
NO_ZONE = datetime.fromisoformat("0001-01-01T00:00:00")


async def test_order_is_read_as_it_was_placed(tx: AsyncConnection, database: Database) -> None:
    await put_products(database, APPLE=10, PEAR=10)
    placement = a_placement(("PEAR", 1), ("APPLE", 2), email="bob@example.com")
    [order_id] = await place(database, placement)

    view = await orders.get(tx, order_id)

    assert (view.email, view.status, view.version) == ("bob@example.com", "placed", 1)
    assert (view.currency, view.total_minor, view.ship_to) == ("GBP", 1500, placement.ship_to)
    assert [(line.sku, line.quantity, line.unit_minor) for line in view.lines] == [
        ("PEAR", 1, 500),
        ("APPLE", 2, 500),
    ]


async def test_unknown_order_cannot_be_read(tx: AsyncConnection) -> None:
    with pytest.raises(NotFound):
        await orders.get(tx, new_id())
    assert await events.page(tx, new_id()) == []


async def test_orders_are_paged_newest_first_without_gap_or_overlap(
    tx: AsyncConnection, database: Database
) -> None:
    await put_products(database, APPLE=10)
    ids = await place(database, *(a_placement(("APPLE", 1)) for _ in range(5)))

    pages: list[list[UUID]] = []
    before: UUID | None = None
    while found := await orders.page(tx, Filter(), before=before, limit=2):
        pages.append([view.id for view in found])
        before = found[-1].id

    newest_first = sorted(ids, reverse=True)
    assert pages == [newest_first[:2], newest_first[2:4], newest_first[4:]]


async def test_orders_are_narrowed_by_status_and_customer(database: Database) -> None:
    await put_products(database, APPLE=10)
    ann, bob = await place(
        database, a_placement(("APPLE", 1)), a_placement(("APPLE", 1), email="bob@example.com")
    )
    async with transaction(database) as tx:
        await orders.change(tx, bob, CANCEL)

    async def found(wanted: Filter) -> list[UUID]:
        async with transaction(database) as tx:
            return [view.id for view in await orders.page(tx, wanted, before=None, limit=10)]

    assert await found(Filter(status=Status.PLACED)) == [ann]
    assert await found(Filter(status=Status.CANCELLED, email="bob@example.com")) == [bob]
    assert await found(Filter(status=Status.CANCELLED, email="ann@example.com")) == []
    assert await found(Filter(email="nobody@example.com")) == []


@pytest.mark.parametrize("clock_s", [-3000, 0, 3000])
async def test_orders_are_narrowed_by_time_whatever_the_clock_their_ids_were_made_by(
    tx: AsyncConnection, database: Database, clock_s: int
) -> None:
    await put_products(database, APPLE=10)
    [order_id] = await place(database, a_placement(("APPLE", 1)))
    created = (await orders.get(tx, order_id)).created_at + timedelta(seconds=clock_s)
    await tx.execute(text("UPDATE orders SET created_at = :at"), {"at": created})
    after = created + timedelta(microseconds=1)

    async def found(start: datetime | None, end: datetime | None) -> int:
        wanted = Filter(created_from=start, created_before=end)
        return len(await orders.page(tx, wanted, before=None, limit=10))

    assert await found(created, after) == 1
    assert await found(created, None) == await found(None, after) == 1
    assert await found(after, None) == await found(None, created) == 0


@pytest.mark.parametrize(
    "at", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), NO_ZONE]
)
async def test_any_time_can_be_asked_for(tx: AsyncConnection, at: datetime) -> None:
    for wanted in (Filter(created_from=at), Filter(created_before=at)):
        assert await orders.page(tx, wanted, before=None, limit=10) == []


async def test_list_of_a_time_long_gone_does_not_read_what_came_since(
    tx: AsyncConnection, database: Database
) -> None:
    await put_products(database, APPLE=100)
    await place(database, *(a_placement(("APPLE", 1)) for _ in range(100)))
    wanted = Filter(created_before=datetime.now(UTC) - timedelta(days=30))
    read = text(
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'orders'"
    )
    before = (await tx.execute(read)).scalar_one()

    assert await orders.page(tx, wanted, before=None, limit=10) == []

    # The planner may look at the ends of the index.
    assert (await tx.execute(read)).scalar_one() <= before + 2
