"""Several workers at once: work is done by one of them, and a late one changes nothing."""

import asyncio
from functools import partial
from random import shuffle
from signal import SIGCONT, SIGSTOP
from uuid import UUID

import pytest

from db.engine import Database
from domain.task import Kind, Queue
from ops.config import Settings
from tests.bank import Bank
from tests.builders import a_placement, place, put_products
from tests.postbox import Postbox
from tests.records import (
    assert_sound,
    at_rest,
    cash,
    end_leases,
    limit,
    shelf,
    statuses,
    timeline,
    work,
)
from tests.scenarios.processes import Surroundings, running
from tests.stages import drain_inventory, drain_notifications, drain_payments
from tests.waiting import eventually

WORKERS = 4


async def placed(database: Database, count: int) -> list[UUID]:
    await put_products(database, APPLE=100)
    return await place(database, *(a_placement(("APPLE", 1)) for _ in range(count)))


async def test_one_of_many_workers_wins_each_task(
    database: Database, settings: Settings, bank: Bank, postbox: Postbox
) -> None:
    [order_id] = await placed(database, 1)

    await asyncio.gather(*(drain_inventory(database) for _ in range(WORKERS)))
    await asyncio.gather(*(drain_payments(database, settings, bank) for _ in range(WORKERS)))
    mails = (drain_notifications(database, settings, postbox) for _ in range(WORKERS))
    await asyncio.gather(*mails)

    assert await timeline(database, order_id) == ["order_placed", "stock_reserved", "order_paid"]
    tasks = [
        await work(database, order_id, kind) for kind in (Kind.RESERVE, Kind.CHARGE, Kind.NOTIFY)
    ]
    assert [(task.state, task.attempt) for task in tasks] == [("done", 1)] * 3
    assert bank.verbs() == ["charge"]
    assert len(postbox.mails) == 1


async def test_workers_share_many_tasks_and_do_none_twice(
    database: Database, settings: Settings, bank: Bank, postbox: Postbox
) -> None:
    ids = await placed(database, 60)

    async def worker() -> None:
        for _ in range(3):
            await drain_inventory(database, group_max=7)
            await drain_payments(database, settings, bank)
            await drain_notifications(database, settings, postbox)

    await asyncio.gather(*(worker() for _ in range(WORKERS)))

    assert await statuses(database) == {"paid": len(ids)}
    assert len(bank.asked) == len(postbox.mails) == len(ids)
    assert await shelf(database, "APPLE") == (40, 0)
    await assert_sound(database)


async def test_workers_reserve_wide_carts_in_any_order_without_deadlock(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    skus = [f"SKU-{n}" for n in range(60)]
    await put_products(database, **dict.fromkeys(skus, 100))
    for _ in range(24):
        shuffle(skus)
        await place(database, a_placement(*((sku, 1) for sku in skus)))

    await asyncio.gather(*(drain_inventory(database, group_max=2) for _ in range(WORKERS)))

    assert await statuses(database) == {"reserved": 24}
    # A group that met a deadlock would have been told of before it was tried again.
    assert caplog.messages == []
    await assert_sound(database)


async def test_limit_holds_for_workers_that_look_at_the_same_time(
    database: Database, settings: Settings, bank: Bank
) -> None:
    await placed(database, 20)
    await drain_inventory(database)
    await limit(database, Queue.PAYMENTS, 3)
    bank.entrance.shut()
    workers = [
        asyncio.create_task(drain_payments(database, settings, bank)) for _ in range(WORKERS)
    ]

    async def all_but_one_ended() -> bool:
        return sum(worker.done() for worker in workers) == WORKERS - 1

    await eventually(all_but_one_ended)
    at_once = len(bank.entrance.waiting)
    await bank.entrance.open()
    await asyncio.gather(*workers)

    assert at_once == bank.most_at_once == 3
    assert await statuses(database) == {"paid": 20}


async def test_frozen_worker_that_thaws_after_its_lease_changes_nothing(
    database: Database, surroundings: Surroundings, bank: Bank
) -> None:
    [order_id] = await placed(database, 1)
    bank.exit.shut()
    async with running(surroundings, "worker-1", "clock") as fleet:
        await bank.exit.until_waiting()
        fleet.children["worker-1"].signal(SIGSTOP)
        await end_leases(database)
        async with running(surroundings, "worker-2"):
            await eventually(partial(at_rest, database))
        told = await timeline(database, order_id)
        bank.answers_lost = 1
        await bank.exit.open()
        fleet.children["worker-1"].signal(SIGCONT)
        # A worker that stops has recorded what it had under way, or tried to.
        await fleet.children["worker-1"].stop(grace_s=20)

    assert bank.verbs() == ["charge", "find"]
    assert await timeline(database, order_id) == told
    assert (await work(database, order_id, Kind.CHARGE)).attempt == 2
    assert await cash(database, order_id) == bank.takings(order_id)
    await assert_sound(database)


async def test_limit_of_a_queue_holds_for_all_workers_together(
    database: Database, surroundings: Surroundings, bank: Bank
) -> None:
    await placed(database, 20)
    await limit(database, Queue.PAYMENTS, 3)
    bank.entrance.shut()
    async with running(surroundings, "worker-1", "worker-2", "clock"):
        await bank.entrance.until_waiting(3)
        await bank.entrance.open()
        await eventually(partial(at_rest, database))

    assert bank.most_at_once == 3
    assert await statuses(database) == {"paid": 20}
