import asyncio
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from db import operations, orders, tasks
from db.engine import Database, transaction
from db.ids import new_id
from db.keys import IdempotencyKeyReused
from db.operations import Operation
from domain import order
from domain.refusal import NotFound, Refusal
from domain.status import Status
from domain.task import DONE, Kind, Queue
from tests.builders import a_placement, place, put_products

ORDER = new_id()


def an_operation(fingerprint: bytes = b"f", *, scope: str = "staff", key: str = "k") -> Operation:
    return Operation(scope, key, fingerprint, ORDER)


async def act(tx: AsyncConnection) -> bytes:
    del tx
    return new_id().bytes


async def unwanted(tx: AsyncConnection) -> bytes:
    raise AssertionError(tx)


async def refuse(tx: AsyncConnection) -> bytes:
    del tx
    raise NotFound("Not there.")


async def test_an_operation_happens_once_and_is_answered_alike(database: Database) -> None:
    async with transaction(database) as tx:
        first = await operations.once(tx, an_operation(), act)
    async with transaction(database) as tx:
        again = await operations.once(tx, an_operation(), unwanted)

    assert (first.order_id, first.status, first.replayed) == (ORDER, 202, False)
    assert (again.order_id, again.status, again.replayed) == (ORDER, 202, True)
    assert first.body == again.body != b""


async def test_a_key_is_of_one_scope(tx: AsyncConnection) -> None:
    first = await operations.once(tx, an_operation(), act)
    other = await operations.once(tx, an_operation(scope="public"), act)

    assert not other.replayed
    assert first.body != other.body


async def test_a_key_of_another_request_is_refused(tx: AsyncConnection) -> None:
    await operations.once(tx, an_operation(), act)

    with pytest.raises(IdempotencyKeyReused):
        await operations.once(tx, an_operation(b"other"), unwanted)


async def test_what_is_refused_leaves_the_key_free(database: Database) -> None:
    with pytest.raises(Refusal):
        async with transaction(database) as tx:
            await operations.once(tx, an_operation(), refuse)

    async with transaction(database) as tx:
        assert not (await operations.once(tx, an_operation(b"other"), act)).replayed


async def test_of_two_at_once_the_second_waits_and_gets_the_answer_of_the_first(
    database: Database,
) -> None:
    taken, go = asyncio.Event(), asyncio.Event()

    async def slow(tx: AsyncConnection) -> bytes:
        taken.set()
        await go.wait()
        return await act(tx)

    async def first() -> bytes:
        async with transaction(database) as tx:
            return (await operations.once(tx, an_operation(), slow)).body

    async def second() -> bytes:
        await taken.wait()
        async with transaction(database) as tx:
            asyncio.get_running_loop().call_soon(go.set)
            return (await operations.once(tx, an_operation(), unwanted)).body

    one, other = await asyncio.gather(first(), second())

    assert one == other


@pytest.fixture
async def order_id(database: Database) -> UUID:
    await put_products(database, APPLE=10)
    [placed] = await place(database, a_placement(("APPLE", 2)))
    return placed


async def test_an_order_is_locked_with_its_money(tx: AsyncConnection, order_id: UUID) -> None:
    found = await operations.lock(tx, order_id)

    assert (found.order.id, found.payable.order_id) == (order_id, order_id)
    assert found.order.status is found.payable.status is Status.PLACED
    assert found.now.tzinfo is not None


async def test_what_is_not_there_cannot_be_locked(tx: AsyncConnection) -> None:
    with pytest.raises(NotFound):
        await operations.lock(tx, new_id())


async def test_work_is_open_until_it_is_done(tx: AsyncConnection, order_id: UUID) -> None:
    before = await operations.has_open(tx, order_id, Kind.RESERVE)
    others = await operations.has_open(tx, order_id, Kind.CHARGE)
    [task] = await tasks.claim(tx, Queue.INVENTORY, limit=1)
    await tasks.finish(tx, [(task, DONE)], leased=False)

    assert (before, others) == (True, False)
    assert not await operations.has_open(tx, order_id, Kind.RESERVE)


async def test_a_gateway_is_asked_while_a_payment_task_is_leased(
    tx: AsyncConnection, order_id: UUID
) -> None:
    found = await operations.lock(tx, order_id)
    reserved = order.reserve(found.order)
    await orders.change_many(tx, {order_id: found.order}, [reserved])

    before = await operations.is_asking(tx, order_id)
    await tasks.lease(tx, Queue.PAYMENTS, limit=1, lease_s=30)

    assert not before
    assert await operations.is_asking(tx, order_id)
