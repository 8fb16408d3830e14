"""Orders change under their lock, as a whole or not at all."""

import asyncio
from collections.abc import Callable
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import events, orders, stock, tables
from db.engine import Database, transaction
from db.ids import new_id
from domain import order, settlement
from domain.event import CancelReason, PaymentUnknown
from domain.order import Change, IllegalMove, Order
from domain.refusal import Conflict, NotFound
from domain.task import Queue
from tests.builders import a_placement, an_attempt, place, put_products
from tests.db.backends import Admin, until_blocked

CANCEL = partial(order.cancel, reason=CancelReason.CUSTOMER)
PAY = partial(settlement.pay, paid=an_attempt(), gateway_ref="pi_1")


@pytest.fixture
async def placed(database: Database) -> UUID:
    """An order of two apples and one pear, of ten each."""
    await put_products(database, APPLE=10, PEAR=10)
    [order_id] = await place(database, a_placement(("APPLE", 2), ("PEAR", 1)))
    return order_id


async def _change(
    database: Database, order_id: UUID, *decisions: Callable[[Order], Change | None]
) -> None:
    for decide in decisions:
        async with transaction(database) as tx:
            await orders.change(tx, order_id, decide)


async def _everything(database: Database) -> list[list[object]]:
    """Every row there is, to tell whether anything was written."""
    async with transaction(database) as tx:
        return [list(await tx.execute(select(table))) for table in tables.metadata.sorted_tables]


async def _stock(database: Database) -> dict[str, tuple[int, int]]:
    async with transaction(database) as tx:
        levels = [await stock.find(tx, sku) for sku in ("APPLE", "PEAR")]
    return {level.sku: (level.on_hand, level.reserved) for level in levels if level}


async def _work(tx: AsyncConnection, order_id: UUID) -> list[str]:
    t = tables.tasks.c
    query = select(t.kind).where(t.order_id == order_id).order_by(t.id)
    return list((await tx.execute(query)).scalars())


@pytest.mark.parametrize(
    ("decisions", "levels"),
    [
        ([], {"APPLE": (10, 0), "PEAR": (10, 0)}),
        ([order.reserve], {"APPLE": (10, 2), "PEAR": (10, 1)}),
        ([order.reserve, PAY], {"APPLE": (8, 0), "PEAR": (9, 0)}),
        ([CANCEL], {"APPLE": (10, 0), "PEAR": (10, 0)}),
        ([order.reserve, CANCEL], {"APPLE": (10, 0), "PEAR": (10, 0)}),
        ([order.reserve, PAY, CANCEL], {"APPLE": (10, 0), "PEAR": (10, 0)}),
        ([order.reserve, CANCEL, PAY], {"APPLE": (10, 0), "PEAR": (10, 0)}),
    ],
)
async def test_stock_follows_the_moves_of_an_order(
    database: Database,
    placed: UUID,
    decisions: list[Callable[[Order], Change]],
    levels: dict[str, tuple[int, int]],
) -> None:
    await _change(database, placed, *decisions)

    assert await _stock(database) == levels


async def test_every_change_is_a_version_an_event_and_its_work(
    database: Database, placed: UUID, rung: list[frozenset[Queue]]
) -> None:
    rung.clear()

    await _change(database, placed, order.reserve, PAY, CANCEL)

    async with transaction(database) as tx:
        view = await orders.get(tx, placed)
        timeline = await events.page(tx, placed)
        work = await _work(tx, placed)
    assert (view.status, view.version, view.cancel_reason) == ("cancelled", 4, "customer")
    assert [(entry.version, entry.kind, entry.status) for entry in timeline] == [
        (1, "order_placed", "placed"),
        (2, "stock_reserved", "reserved"),
        (3, "order_paid", "paid"),
        (4, "order_cancelled", "cancelled"),
    ]
    assert timeline[0].data == {"lines": 2, "total_minor": 1500, "currency": "GBP"}
    assert work == ["reserve", "charge", "notify", "notify", "undo_payment"]
    assert rung == [{Queue.PAYMENTS}, {Queue.NOTIFICATIONS}, {Queue.PAYMENTS, Queue.NOTIFICATIONS}]


async def test_several_events_of_one_change_are_numbered_without_gaps(
    database: Database, placed: UUID
) -> None:
    def decide(was: Order) -> Change:
        first = order.append(was, PaymentUnknown(new_id(), "timeout"))
        second = order.cancel(first.order, reason=CancelReason.EXPIRED)
        return Change(second.order, first.events + second.events, (), second.cancel_reason)

    await _change(database, placed, decide)

    async with transaction(database) as tx:
        timeline = await events.page(tx, placed)
        assert (await orders.get(tx, placed)).version == 3
    told = [(entry.version, entry.kind) for entry in timeline]
    assert told == [(1, "order_placed"), (2, "payment_unknown"), (3, "order_cancelled")]


async def test_refused_decision_writes_nothing(database: Database, placed: UUID) -> None:
    before = await _everything(database)

    with pytest.raises(IllegalMove):
        await _change(database, placed, PAY)

    assert await _everything(database) == before


async def test_decision_for_nothing_writes_nothing(database: Database, placed: UUID) -> None:
    before = await _everything(database)

    await _change(database, placed, lambda _: None)

    assert await _everything(database) == before


async def test_unknown_order_cannot_be_changed(tx: AsyncConnection) -> None:
    with pytest.raises(NotFound):
        await orders.change(tx, new_id(), CANCEL)


async def test_group_in_which_one_order_changed_meanwhile_is_a_conflict_and_writes_nothing(
    database: Database, placed: UUID
) -> None:
    [other] = await place(database, a_placement(("APPLE", 1)))
    async with transaction(database) as tx:
        stale = await orders.lock(tx, [placed, other])
    await _change(database, other, CANCEL)
    before = await _everything(database)

    async def write() -> None:
        async with transaction(database) as tx:
            await orders.change_many(tx, stale, [order.reserve(was) for was in stale.values()])

    with pytest.raises(Conflict):
        await write()

    assert await _everything(database) == before


async def test_two_changes_of_one_order_in_a_group_are_a_conflict(
    database: Database, placed: UUID
) -> None:
    async def write() -> None:
        async with transaction(database) as tx:
            before = await orders.lock(tx, [placed])
            changes = [order.reserve(before[placed]), CANCEL(before[placed])]
            await orders.change_many(tx, before, changes)

    with pytest.raises(Conflict):
        await write()


async def test_group_of_changes_is_written_at_once(database: Database, placed: UUID) -> None:
    [other] = await place(database, a_placement(("APPLE", 3)))

    async with transaction(database) as tx:
        before = await orders.lock(tx, [other, placed])
        changes = [order.reserve(before[placed]), CANCEL(before[other])]
        await orders.change_many(tx, before, changes)

    async with transaction(database) as tx:
        assert (await orders.get(tx, placed)).status == "reserved"
        assert (await orders.get(tx, other)).status == "cancelled"
    assert await _stock(database) == {"APPLE": (10, 2), "PEAR": (10, 1)}


async def test_order_that_needs_more_than_there_is_cannot_be_reserved_even_by_mistake(
    database: Database,
) -> None:
    await put_products(database, APPLE=1)
    [order_id] = await place(database, a_placement(("APPLE", 2)))
    before = await _everything(database)

    with pytest.raises(Exception, match="stock_check"):
        await _change(database, order_id, order.reserve)

    assert await _everything(database) == before


async def test_second_decision_waits_for_the_first_and_sees_what_it_made(
    database: Database, placed: UUID, admin: Admin
) -> None:
    async with transaction(database) as first:
        await orders.change(first, placed, order.reserve)
        second = asyncio.create_task(_change(database, placed, CANCEL))
        await until_blocked(admin)
    await second

    async with transaction(database) as tx:
        statuses = [entry.status for entry in await events.page(tx, placed)]
    assert statuses == ["placed", "reserved", "cancelled"]
    assert await _stock(database) == {"APPLE": (10, 0), "PEAR": (10, 0)}


async def test_later_event_has_the_later_time_whoever_began_first(
    database: Database, placed: UUID
) -> None:
    async with transaction(database) as first:
        # Its transaction, and with it now(), begins before that of the change it waits for.
        await first.exec_driver_sql("SELECT now()")
        async with transaction(database) as second:
            await orders.change(second, placed, order.reserve)
        await orders.change(first, placed, CANCEL)

    async with transaction(database) as tx:
        times = [entry.at for entry in await events.page(tx, placed)]
        updated_at = (await orders.get(tx, placed)).updated_at
    assert times == sorted(times)
    assert updated_at >= times[1]


async def test_orders_are_locked_in_the_order_of_their_ids(
    database: Database, admin: Admin
) -> None:
    await put_products(database, APPLE=100)
    ids = sorted(await place(database, *(a_placement(("APPLE", 1)) for _ in range(9))))

    async def lock_all() -> int:
        async with transaction(database) as tx:
            return len(await orders.lock(tx, ids[::-1]))

    async with transaction(database) as holder:
        await orders.lock(holder, [ids[4]])
        locking = asyncio.create_task(lock_all())
        await until_blocked(admin)
        async with transaction(database) as tx:
            free = text("SELECT id FROM orders ORDER BY id FOR NO KEY UPDATE SKIP LOCKED")
            left = list(await tx.scalars(free))

    assert left == ids[5:]
    assert await locking == 9


async def test_locked_order_can_still_be_referred_to(database: Database, placed: UUID) -> None:
    async with transaction(database) as holder:
        await orders.lock(holder, [placed])
        async with transaction(database) as tx:
            await tx.execute(
                text(
                    "INSERT INTO tasks (queue, kind, order_id, attempts_max) "
                    "VALUES ('payments', 'charge', :order_id, 1)"
                ),
                {"order_id": placed},
            )
