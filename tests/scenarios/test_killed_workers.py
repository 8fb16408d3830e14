"""A worker that is killed without warning, wherever it is, delays an order and does no harm."""

from functools import partial
from uuid import UUID

import msgspec

from db import reservations
from db.engine import Database, transaction
from tests.bank import Bank
from tests.builders import a_placement, place, put_products
from tests.postbox import Postbox
from tests.records import (
    assert_sound,
    at_rest,
    attempts,
    be_patient,
    cash,
    status,
    waits_for_a_lock,
)
from tests.scenarios.processes import Surroundings, lose, running
from tests.waiting import eventually

TOTAL = 1000
WORKER = "orderflow worker"


async def placed(database: Database) -> UUID:
    await put_products(database, APPLE=10)
    [order_id] = await place(database, a_placement(("APPLE", 2)))
    return order_id


def impatient(surroundings: Surroundings) -> Surroundings:
    """Have work of a lost worker taken over after a real lease, of three seconds."""
    brief = msgspec.structs.replace(
        surroundings.settings,
        gateway_timeout_s=0.8,
        task_timeout_s=1.0,
        shutdown_grace_s=2,
        lease_s=3.0,
    )
    return msgspec.structs.replace(surroundings, settings=brief)


async def assert_paid_once(
    database: Database, bank: Bank, postbox: Postbox, order_id: UUID, *, mails: int = 1
) -> None:
    await eventually(partial(at_rest, database))
    assert await status(database, order_id) == "paid"
    assert await cash(database, order_id) == bank.takings(order_id) == [TOTAL]
    assert postbox.subjects(order_id) == ["Your order is confirmed"] * mails
    await assert_sound(database)


async def test_worker_killed_while_it_reserves(
    database: Database, surroundings: Surroundings, bank: Bank, postbox: Postbox
) -> None:
    order_id = await placed(database)
    async with running(surroundings, "worker", "clock") as fleet:
        async with transaction(database) as tx:
            await be_patient(tx)
            await reservations.lock(tx, ["APPLE"])
            await eventually(partial(waits_for_a_lock, database, WORKER))
            await fleet.kill("worker")

        await assert_paid_once(database, bank, postbox, order_id)


async def test_worker_killed_before_the_gateway_did_anything(
    database: Database, surroundings: Surroundings, bank: Bank, postbox: Postbox
) -> None:
    order_id = await placed(database)
    bank.entrance.shut()
    async with running(surroundings, "worker", "clock") as fleet:
        await bank.entrance.until_waiting()
        assert await attempts(database, order_id) == [("charge", "sent")]
        await lose(fleet, "worker", database)
        await bank.entrance.open()

        await assert_paid_once(database, bank, postbox, order_id)
    assert bank.verbs() == ["charge", "find", "charge"]
    assert len({attempt_id for _, attempt_id in bank.asked}) == 1


async def test_worker_killed_after_the_gateway_charged(
    database: Database, surroundings: Surroundings, bank: Bank, postbox: Postbox
) -> None:
    order_id = await placed(database)
    bank.exit.shut()
    async with running(impatient(surroundings), "worker", "clock") as fleet:
        await bank.exit.until_waiting()
        await fleet.kill("worker")
        await bank.exit.open()

        await assert_paid_once(database, bank, postbox, order_id)
    assert bank.verbs().count("charge") == 1


async def test_worker_killed_before_the_relay_took_the_mail(
    database: Database, surroundings: Surroundings, bank: Bank, postbox: Postbox
) -> None:
    order_id = await placed(database)
    postbox.entrance.shut()
    async with running(surroundings, "worker", "clock") as fleet:
        await postbox.entrance.until_waiting()
        await lose(fleet, "worker", database)
        await postbox.entrance.open()

        await assert_paid_once(database, bank, postbox, order_id)


async def test_worker_killed_after_the_relay_took_the_mail(
    database: Database, surroundings: Surroundings, bank: Bank, postbox: Postbox
) -> None:
    order_id = await placed(database)
    postbox.exit.shut()
    async with running(surroundings, "worker", "clock") as fleet:
        await postbox.exit.until_waiting()
        await lose(fleet, "worker", database)
        await postbox.exit.open()

        await assert_paid_once(database, bank, postbox, order_id, mails=2)
    assert len({mail.message_id for mail in postbox.mails}) == 1
