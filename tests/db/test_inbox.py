from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db import inbox, payables, payments, tables
from db.engine import Busy, Database, transaction
from db.ids import new_id
from db.inbox import Message
from tests.builders import a_placement, an_attempt, place, put_products


def a_message(
    *, source: str = "stripe", order_id: UUID | None = None, refs: tuple[str, ...] = ()
) -> Message:
    return Message(source, "evt_1", "charge.succeeded", {"id": "evt_1"}, order_id, refs)


async def insert(tx: AsyncConnection, message: Message) -> tuple[bool, UUID | None]:
    [kept] = await inbox.insert_many(tx, [message])
    return kept


@pytest.fixture
async def order_id(database: Database) -> UUID:
    await put_products(database, APPLE=10)
    [placed] = await place(database, a_placement(("APPLE", 2)))
    return placed


async def test_a_message_is_new_once_for_each_source(tx: AsyncConnection) -> None:
    told = [
        await insert(tx, a_message()),
        await insert(tx, a_message()),
        await insert(tx, a_message(source="other")),
    ]

    assert told == [(True, None), (False, None), (True, None)]
    kept = await tx.execute(select(tables.inbox.c.source, tables.inbox.c.payload))
    assert set(map(str, kept)) == {
        "('stripe', {'id': 'evt_1'})",
        "('other', {'id': 'evt_1'})",
    }


async def test_the_order_is_found_by_its_id(tx: AsyncConnection, order_id: UUID) -> None:
    assert await insert(tx, a_message(order_id=order_id)) == (True, order_id)


async def test_an_order_that_is_not_ours_is_none(tx: AsyncConnection) -> None:
    assert await insert(tx, a_message(order_id=new_id())) == (True, None)


async def test_the_order_is_found_by_a_reference_of_that_gateway(
    tx: AsyncConnection, order_id: UUID
) -> None:
    payable = await payables.lock(tx, order_id)
    attempt = an_attempt(gateway_ref=None)
    await payments.insert(tx, [(payable, attempt)])
    await tx.execute(update(tables.payment_attempts).values(gateway_ref="pi_1"))

    elsewhere = await insert(tx, a_message(source="other", refs=("pi_1",)))
    here = await insert(tx, a_message(refs=("ch_1", "pi_1")))

    assert (elsewhere, here) == ((True, None), (True, order_id))


async def test_a_group_is_told_of_each_in_its_order(tx: AsyncConnection, order_id: UUID) -> None:
    payable = await payables.lock(tx, order_id)
    await payments.insert(tx, [(payable, an_attempt(gateway_ref=None))])
    await tx.execute(update(tables.payment_attempts).values(gateway_ref="pi_1"))
    await insert(tx, a_message())
    others = [
        Message("stripe", f"evt_{n}", "charge.succeeded", {"id": f"evt_{n}"}, about, refs)
        for n, about, refs in (
            (4, new_id(), ()),
            (3, None, ("ch_1", "pi_1")),
            (2, order_id, ("pi_1", "pi_2")),
        )
    ]

    told = await inbox.insert_many(tx, [others[0], a_message(order_id=order_id), *others[1:]])

    assert told == [(True, None), (False, order_id), (True, order_id), (True, order_id)]
    kept = await tx.execute(select(tables.inbox.c.message_id, tables.inbox.c.order_id))
    assert set(map(tuple, kept)) == {
        ("evt_1", None), ("evt_4", None), ("evt_3", order_id), ("evt_2", order_id)
    }  # fmt: skip


async def test_a_message_that_another_transaction_keeps_is_not_waited_for_long(
    database: Database,
) -> None:
    async with transaction(database) as first:
        await insert(first, a_message())

        with pytest.raises(Busy):
            async with transaction(database) as second:
                await insert(second, a_message())
