"""Results that come after the lease: whoever took over decides, they change nothing."""

import asyncio
from uuid import UUID

from db.engine import Database
from domain.task import Queue
from ops.config import Settings
from tests.bank import Bank
from tests.records import (
    assert_sound,
    attempts,
    cash,
    end_leases,
    pause,
    status,
    timeline,
)
from tests.stages import drain_payments
from tests.workers.charges import TOTAL, charge_of, order_id
from workers import clock

__all__ = ["order_id"]


async def lose_lease(database: Database) -> None:
    """Have the sweep take back what a worker holds for too long."""
    await end_leases(database)
    await clock.take_back(database)


async def test_result_that_comes_after_the_work_was_taken_back_changes_nothing(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    bank.exit.shut()
    late = asyncio.create_task(drain_payments(database, settings, bank))
    await bank.exit.until_waiting()
    await lose_lease(database)

    await pause(database, Queue.PAYMENTS)
    await bank.exit.open()
    await late

    assert await charge_of(database, order_id) == ("ready", 1, clock.LEASE_EXPIRED)
    assert await status(database, order_id) == "reserved"
    assert await attempts(database, order_id) == [("charge", "sent")]


async def test_result_that_comes_while_another_worker_is_at_it_changes_nothing(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    forgetful = Bank()
    forgetful.exit.shut()
    late = asyncio.create_task(drain_payments(database, settings, forgetful))
    await forgetful.exit.until_waiting()
    await lose_lease(database)
    bank.entrance.shut()
    other = asyncio.create_task(drain_payments(database, settings, bank))
    await bank.entrance.until_waiting()

    await forgetful.exit.open()
    await late
    meanwhile = await charge_of(database, order_id), await status(database, order_id)
    await bank.entrance.open()
    await other

    assert meanwhile == (("running", 2, clock.LEASE_EXPIRED), "reserved")
    assert await status(database, order_id) == "paid"
    assert len({attempt_id for _, attempt_id in forgetful.asked + bank.asked}) == 1
    await assert_sound(database)


async def test_result_that_comes_after_another_worker_ended_it_changes_nothing(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    bank.exit.shut()
    late = asyncio.create_task(drain_payments(database, settings, bank))
    await bank.exit.until_waiting()
    await lose_lease(database)
    await drain_payments(database, settings, bank)
    told = await timeline(database, order_id)

    bank.answers_lost = 1
    await bank.exit.open()
    await late

    assert bank.verbs() == ["charge", "find"]
    assert await charge_of(database, order_id) == ("done", 2, None)
    assert await timeline(database, order_id) == told
    assert await cash(database, order_id) == bank.takings(order_id) == [TOTAL]
    await assert_sound(database)
