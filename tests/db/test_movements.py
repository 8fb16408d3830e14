from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import movements, orders, stock
from db.engine import Database, transaction
from domain import order
from domain.event import CancelReason
from domain.refusal import Conflict, NotFound
from domain.shelf import Shelf, why
from domain.stock import ON_HAND_MAX, StockBelowReserved
from tests.builders import a_placement, place, put_product, put_products
from tests.staff import ADMIN
from tests.stages import drain_inventory


async def shelf_of(database: Database, sku: str = "APPLE") -> Shelf:
    async with transaction(database) as tx:
        return await movements.shelf(tx, sku)


async def test_every_number_of_a_shelf_is_explained(database: Database) -> None:
    await put_products(database, APPLE=10)
    kept, gone, sold = await place(
        database, a_placement(("APPLE", 3)), a_placement(("APPLE", 2)), a_placement(("APPLE", 1))
    )
    await drain_inventory(database)
    async with transaction(database) as tx:
        await orders.change(tx, gone, partial(order.cancel, reason=CancelReason.CUSTOMER))
        await tx.execute(text("UPDATE orders SET status = 'paid' WHERE id = :id"), {"id": sold})
        await tx.execute(
            text("UPDATE reservations SET state = 'committed' WHERE order_id = :id"), {"id": sold}
        )
        await tx.execute(text("UPDATE stock SET on_hand = on_hand - 1, reserved = reserved - 1"))
        await stock.adjust(tx, "APPLE", -2, note="Broken.", actor=ADMIN)

    found = await shelf_of(database)

    assert (found.on_hand, found.reserved, found.available) == (7, 3, 4)
    assert (found.counted, found.sold, found.held) == (8, 1, 3)
    assert (found.unexplained, found.unheld, found.partial) == (0, 0, False)
    assert why(found) == (
        "4 are for sale: 7 on hand less 3 that orders hold; on hand are 8 counted in less 1 sold."
    )
    async with transaction(database) as tx:
        took = await movements.takers(tx, "APPLE", limit=10)
    assert [t.order_id for t in took] == sorted([kept, gone, sold], reverse=True)
    assert {t.order_id: (t.quantity, t.state) for t in took} == {
        sold: (1, "committed"),
        gone: (2, "released"),
        kept: (3, "held"),
    }
    assert all(t.held_at for t in took)


async def test_stock_that_changed_behind_the_back_of_its_movements_is_shown_as_unexplained(
    database: Database,
) -> None:
    await put_products(database, APPLE=10)
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE stock SET on_hand = 12"))

    found = await shelf_of(database)

    assert found.unexplained == 2
    assert why(found).endswith("which leaves +2 on hand and +0 held unexplained.")


async def test_of_more_lines_than_are_looked_at_the_rest_is_what_older_orders_took(
    database: Database,
) -> None:
    await put_products(database, APPLE=10)
    await place(database, *(a_placement(("APPLE", 1)) for _ in range(3)))
    await drain_inventory(database)

    async with transaction(database) as tx:
        found = await movements.shelf(tx, "APPLE", lines_max=2)

    assert (found.held, found.partial) == (2, True)
    assert "by older orders" in why(found)


async def test_what_people_did_is_listed_with_who_and_why(tx: AsyncConnection) -> None:
    await put_product(tx, "APPLE", on_hand=10)
    await stock.put(tx, "APPLE", 12, actor=ADMIN)
    await stock.adjust(tx, "APPLE", -5, note="Broken.", actor=ADMIN)

    newest, counted, first = await movements.page(tx, "APPLE", limit=10)

    assert (newest.cause, newest.on_hand_delta, newest.on_hand) == ("adjustment", -5, 7)
    assert newest.note == "Broken."
    assert newest.by == counted.by
    assert newest.by is not None
    assert (counted.cause, counted.on_hand_delta, counted.on_hand) == ("count", 2, 12)
    assert (first.cause, first.by, first.on_hand_delta) == ("count", None, 10)
    assert await movements.page(tx, "APPLE", before=newest.version, limit=1) == [counted]


@pytest.mark.parametrize(
    "rewritten", ["UPDATE stock_movements SET note = 'x'", "DELETE FROM stock_movements"]
)
async def test_movements_are_never_rewritten(tx: AsyncConnection, rewritten: str) -> None:
    await put_product(tx, "APPLE", on_hand=10)

    with pytest.raises(Exception, match="append-only"):
        await tx.execute(text(rewritten))


async def test_stock_is_not_adjusted_to_what_cannot_be(database: Database) -> None:
    await put_products(database, APPLE=10)
    await place(database, a_placement(("APPLE", 3)))
    await drain_inventory(database)

    async with transaction(database) as tx:
        for delta, refusal in ((-8, StockBelowReserved), (ON_HAND_MAX, Conflict)):
            with pytest.raises(refusal):
                await stock.adjust(tx, "APPLE", delta, note="Wrong.", actor=None)
        with pytest.raises(NotFound):
            await stock.adjust(tx, "PEAR", 1, note="Wrong.", actor=None)

    assert (await shelf_of(database)).on_hand == 10


async def test_scarce_is_what_is_low_or_wanted_by_more_than_there_is(database: Database) -> None:
    await put_products(database, APPLE=10, PEAR=10, PLUM=10, FIG=0)
    async with transaction(database) as tx:
        await stock.set_threshold(tx, "PEAR", 10)
    await place(database, a_placement(("PLUM", 11)))

    async with transaction(database) as tx:
        found = await movements.scarce(tx, limit=10)
        named = await movements.find(tx, "P", limit=10)

    assert [(level.sku, level.wanted) for level in found] == [("PLUM", 11), ("FIG", 0), ("PEAR", 0)]
    assert [level.sku for level in named] == ["PEAR", "PLUM"]
