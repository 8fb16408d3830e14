"""Stock is held as long as its order says, and never let go while a charge may have happened."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import text

from db import orders, payables, tasks, upkeep
from db.engine import Database, transaction
from db.orders import OrderView
from domain import order, settlement
from domain.event import CancelReason, PaymentUnknown
from domain.order import RESERVE_FOR_S, Change, Order
from domain.payment import ActionRequired, Declined, Outcome, Unknown, Unsent
from domain.task import Queue, State, Verdict
from tests.builders import a_placement, an_attempt, place, put_products
from tests.db.attempts import an_asked, send, settled
from tests.db.backends import Admin, until_blocked

CANCEL = partial(order.cancel, reason=CancelReason.CUSTOMER)


@pytest.fixture(autouse=True)
async def catalogue(database: Database) -> None:
    await put_products(database, APPLE=100)


async def _change(database: Database, order_id: UUID, decide: Callable[[Order], Change]) -> None:
    async with transaction(database) as tx:
        await orders.change(tx, order_id, decide)


async def _reserved(database: Database, count: int = 1) -> list[UUID]:
    """Orders whose reservations have run out, the first one first."""
    ids = await place(database, *(a_placement(("APPLE", 1)) for _ in range(count)))
    for order_id in ids:
        await _change(database, order_id, order.reserve)
    async with transaction(database) as tx:
        late = "UPDATE orders SET reserved_until = now() - (:nth * interval '1 second')"
        for nth, order_id in enumerate(reversed(ids)):
            query = text(f"{late} WHERE id = :id")
            await tx.execute(query, {"nth": nth, "id": order_id})
    return ids


async def _expired(database: Database, limit: int = 100) -> list[UUID]:
    async with transaction(database) as tx:
        return list(await orders.lock_expired(tx, limit=limit))


async def _read(database: Database, order_id: UUID) -> OrderView:
    async with transaction(database) as tx:
        return await orders.get(tx, order_id)


@pytest.mark.parametrize("reserve_for_s", [1, RESERVE_FOR_S, 86_400])
async def test_stock_is_held_as_long_as_the_order_says(
    database: Database, reserve_for_s: int
) -> None:
    [order_id] = await place(database, a_placement(("APPLE", 1), reserve_for_s=reserve_for_s))
    assert (await _read(database, order_id)).reserved_until is None

    await _change(database, order_id, order.reserve)

    view = await _read(database, order_id)
    assert view.reserved_until == view.updated_at + timedelta(seconds=reserve_for_s)


async def test_stock_is_held_no_longer_for_what_happens_to_its_order(database: Database) -> None:
    [order_id] = await _reserved(database)
    before = (await _read(database, order_id)).reserved_until

    await _change(
        database, order_id, lambda o: order.append(o, PaymentUnknown(order_id, "timeout"))
    )

    assert (await _read(database, order_id)).reserved_until == before


async def test_orders_expire_in_the_order_of_their_ends_and_so_many_at_a_time(
    database: Database,
) -> None:
    first, second, third = await _reserved(database, 3)

    assert set(await _expired(database, 2)) == {first, second}
    assert set(await _expired(database)) == {first, second, third}


async def test_order_whose_time_is_not_over_does_not_expire(database: Database) -> None:
    [order_id] = await place(database, a_placement(("APPLE", 1)))
    await _change(database, order_id, order.reserve)

    assert await _expired(database) == []


@pytest.mark.parametrize(
    "decide",
    [CANCEL, partial(settlement.pay, paid=an_attempt(), gateway_ref="pi_1")],
    ids=["cancelled", "paid"],
)
async def test_only_a_reserved_order_expires(
    database: Database, decide: Callable[[Order], Change]
) -> None:
    [order_id] = await _reserved(database)
    await _change(database, order_id, decide)

    assert await _expired(database) == []


@pytest.mark.parametrize(
    ("outcome", "expires"),
    [
        (None, False),
        (Unknown("timeout"), False),
        (Unsent("refused"), True),
        (Declined("card_declined"), True),
        # The customer was asked to authenticate and did not.
        (ActionRequired("pi_1", "secret"), True),
    ],
)
async def test_order_whose_charge_may_have_happened_does_not_expire(
    database: Database, outcome: Outcome | None, *, expires: bool
) -> None:
    [order_id] = await _reserved(database)
    async with transaction(database) as tx:
        await settled(tx, order_id, an_asked(), outcome)

    assert await _expired(database) == [order_id] * expires


async def test_orders_that_are_being_charged_keep_no_other_from_expiring(
    database: Database,
) -> None:
    charged, waiting = await _reserved(database, 2)
    async with transaction(database) as tx:
        await settled(tx, charged, an_asked(), Unknown("timeout"))

    assert await _expired(database, limit=1) == [waiting]


async def test_orders_that_others_hold_are_skipped(database: Database) -> None:
    held, free = await _reserved(database, 2)

    async with transaction(database) as holder:
        await orders.lock(holder, [held])
        assert await _expired(database) == [free]


@pytest.fixture
async def slow(admin: Admin) -> AsyncGenerator[str]:
    """A schema in which a statement that reads attempts waits at a gate before it does.

    It has begun by then, and sees what there was: a STABLE function sees what its caller does.
    """
    await admin.execute(
        """
        CREATE SCHEMA slow;
        CREATE FUNCTION slow.attempts() RETURNS SETOF public.payment_attempts
        LANGUAGE plpgsql STABLE AS $$ BEGIN
            PERFORM pg_advisory_xact_lock_shared(hashtext('gate'));
            RETURN QUERY SELECT * FROM public.payment_attempts;
        END $$;
        CREATE VIEW slow.payment_attempts AS SELECT * FROM slow.attempts();
        """
    )
    yield "slow"
    await admin.execute("DROP SCHEMA slow CASCADE")


async def test_order_whose_charge_is_sent_while_expired_ones_are_sought_does_not_expire(
    database: Database, admin: Admin, slow: str
) -> None:
    charged, waiting = await _reserved(database, 2)

    async def seek() -> list[UUID]:
        async with transaction(database) as tx:
            await tx.execute(text(f"SET LOCAL search_path = {slow}, public"))
            return list(await orders.lock_expired(tx, limit=100))

    await admin.execute("SELECT pg_advisory_lock(hashtext('gate'))")
    seeking = asyncio.create_task(seek())
    await until_blocked(admin)
    async with transaction(database) as worker:
        await payables.lock(worker, charged)
        await send(worker, charged, an_asked())
    await admin.execute("SELECT pg_advisory_unlock(hashtext('gate'))")

    assert await seeking == [waiting]


async def test_charge_that_comes_after_the_expiry_waits_and_sees_it(
    database: Database, admin: Admin
) -> None:
    [order_id] = await _reserved(database)

    async def read() -> str:
        async with transaction(database) as tx:
            return (await payables.lock(tx, order_id)).status

    async with transaction(database) as clock:
        before = await orders.lock_expired(clock, limit=1)
        charging = asyncio.create_task(read())
        await until_blocked(admin)
        await orders.change_many(clock, before, [settlement.expire(before[order_id])])

    assert await charging == "cancelled"


async def test_cancelled_order_has_its_open_charge_looked_at_at_once(
    database: Database, rung: Sequence[frozenset[Queue]]
) -> None:
    [order_id] = await _reserved(database)
    async with transaction(database) as tx:
        [task] = await tasks.lease(tx, Queue.PAYMENTS, limit=1, lease_s=30)
        await tasks.finish(tx, [(task, Verdict(State.READY, "unknown", 3600.0))], leased=True)

    await _change(database, order_id, CANCEL)

    async with transaction(database) as tx:
        assert await upkeep.due_queues(tx) >= {Queue.PAYMENTS}
    assert Queue.PAYMENTS in rung[-1]


async def test_next_charge_is_made_to_the_method_that_was_set(database: Database) -> None:
    changed, other = await _reserved(database, 2)

    async with transaction(database) as tx:
        await orders.set_payment_method(tx, changed, "pm_card_mastercard")

    async with transaction(database) as tx:
        _, locked = await payables.lock_many(tx, [changed, other])
    assert locked[changed].payment_method == "pm_card_mastercard"
    assert locked[other].payment_method == "pm_card_visa"
