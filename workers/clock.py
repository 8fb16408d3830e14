"""The clock: rings for due work and takes back what lost workers held, and audits it all."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from db import bulk_steps, cron, find_upkeep, orders, queues, reconciliation, samples, tasks, upkeep
from db.doorbell import Doorbell, broker
from db.engine import Database, Unavailable, act_as, connect, name_commit, transaction
from db.find_upkeep import TURNED_BATCH_MAX
from db.groups import in_savepoints
from db.heartbeat import Heartbeat
from db.processes import ProcessKind
from domain import settlement
from domain.actor import CLOCK
from domain.bulk import BulkState
from domain.order import Order
from domain.reconciliation import Portion
from domain.schedule import SCHEDULES, Job
from domain.task import Kind, NewTask, Task, Verdict, after_crash
from ops.config import settings
from ops.telemetry import activity, exporter, faultpoint, logs
from ops.telemetry.faultpoint import Commit
from workers import auditor
from workers.expiry import expire_authorizations
from workers.failure import twice
from workers.gateways.names import names
from workers.reconciliation import task_for
from workers.telling import tell_ended

log = logging.getLogger(__name__)

# How long a ring that got lost may delay its work.
SWEEP_EVERY_S = 1.0
# What was sent at the end of a night's period is looked for in the next night's.
RECONCILE_OVERLAP = timedelta(hours=1)

# Reservations that are ended in one transaction.
EXPIRED_BATCH_MAX = 200

LEASE_EXPIRED = "The worker was lost: its lease ran out."


async def run_once(database: Database, gateways: Sequence[str] = ()) -> None:
    """Sweep once; the books of `gateways` are compared every night.

    Any number of clocks may do so at the same time. A part that fails is logged and keeps no
    other from being done. Raises Unavailable.
    """
    reconcile = partial(schedule_reconciliation, gateways=gateways)
    parts = {
        "take back": take_back,
        "expire": expire,
        "expire authorizations": expire_authorizations,
        "prune": schedule,
        "reconcile": reconcile,
        "bulk": step_bulk,
        "end drains": end_drains,
        "ring": ring,
        "search": settle_search,
        "sample": sample,
    }
    for name, part in parts.items():
        try:
            with activity.doing("sweep", name):
                await twice(partial(part, database))
        except Unavailable:
            raise
        except Exception:
            log.exception("A part of the sweep failed: %s", name)


async def take_back(database: Database) -> None:
    """End the attempts whose worker let the lease run out."""
    async with transaction(database) as tx:
        lost = await upkeep.expired(tx)
        if lost:
            name_commit(tx, Commit.TAKE_BACK)
            log.warning("%d tasks lost their worker", len(lost))
            await tasks.finish(tx, [(task, _after_loss(task)) for task in lost], leased=True)
    tell_ended([(task, _after_loss(task)) for task in lost], "lost")


async def expire(database: Database) -> None:
    """End the orders whose reservation has run out.

    One that cannot be ended keeps no other from it. Raises what the first such failed with.
    """
    expired, failed = EXPIRED_BATCH_MAX, list[Exception]()
    while expired == EXPIRED_BATCH_MAX and not failed:
        async with transaction(database) as tx:
            before = await orders.lock_expired(tx, limit=EXPIRED_BATCH_MAX)
            expired = len(before)
            if before:
                name_commit(tx, Commit.EXPIRE)
                act_as(tx, CLOCK)
                failed = await in_savepoints(tx, list(before.values()), partial(_end, tx))
    if failed:
        raise failed[0]


async def _end(tx: AsyncConnection, expired: Sequence[Order]) -> None:
    before = {order.id: order for order in expired}
    await orders.change_many(tx, before, [settlement.expire(order) for order in expired])


async def schedule(database: Database) -> None:
    """Write the periodic tasks whose time has come."""
    async with transaction(database) as tx:
        if await cron.take_slot(tx, Job.PRUNE, every_s=SCHEDULES[Job.PRUNE].every_s):
            name_commit(tx, Commit.CRON_PRUNE)
            await tasks.schedule(tx, NewTask(Kind.PRUNE))


async def schedule_reconciliation(database: Database, *, gateways: Sequence[str]) -> None:
    """Have what was made or changed since the last night compared, on either side."""
    if not gateways:
        return
    async with transaction(database) as tx:
        every_s = SCHEDULES[Job.RECONCILE].every_s
        if not await cron.take_slot(tx, Job.RECONCILE, every_s=every_s):
            return
        name_commit(tx, Commit.CRON_RECONCILE)
        last, this = await reconciliation.nightly(tx, Job.RECONCILE, every_s=every_s)
        for gateway in gateways:
            await tasks.schedule(tx, task_for(Portion(gateway, last - RECONCILE_OVERLAP, this)))


async def step_bulk(database: Database) -> None:
    """Carry out a batch of what somebody asked to be done with many tasks."""
    async with transaction(database) as tx:
        bulk = await bulk_steps.step(tx)
        if bulk is not None:
            name_commit(tx, Commit.BULK)
            if bulk.state is not BulkState.RUNNING:
                log.info(
                    "The bulk %s is done: %d of %d changed", bulk.id, bulk.changed, bulk.matched
                )


async def end_drains(database: Database) -> None:
    """Pause the queues that have done what they were to do before."""
    async with transaction(database) as tx:
        drained = await queues.end_drains(tx)
        if drained:
            name_commit(tx, Commit.DRAINED)
            log.warning("Drained, and so paused: %s", ", ".join(drained))


async def sample(database: Database) -> None:
    """Note what the last minute was like, once a minute."""
    async with transaction(database) as tx:
        if await cron.take_slot(tx, Job.SAMPLE, every_s=SCHEDULES[Job.SAMPLE].every_s):
            name_commit(tx, Commit.CRON_SAMPLE)
            await samples.take(tx)


async def settle_search(database: Database) -> None:
    """Have search know which products can be bought now, of those whose stock has turned."""
    turned = TURNED_BATCH_MAX
    while turned == TURNED_BATCH_MAX:
        async with transaction(database) as tx:
            turned = await find_upkeep.settle(tx)
            if turned:
                name_commit(tx, Commit.SEARCH)


async def ring(database: Database) -> None:
    """Ring the queues that have work to do."""
    async with transaction(database) as tx:
        due = await upkeep.due_queues(tx)
    if due:
        database.ring(due)


def _after_loss(task: Task) -> Verdict:
    """Have it done at once by another worker: this one's lease was delay enough."""
    return after_crash(task, error=LEASE_EXPIRED, chance=0.0)


async def main() -> None:
    """Sweep until told to stop."""
    config = settings()
    logs.configure("clock", config.log_level, form=config.log_format)
    faultpoint.arm(config.faultpoint)
    exporter.serve(config)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    database = connect(config, name="orderflow clock", ring=Doorbell(broker(config)).ring)
    gateways = names(config)
    log.info("The clock is running")
    heartbeat = Heartbeat(database, ProcessKind.CLOCK)
    heartbeat.start()
    # Side by side: an audit takes a second, for which no ring should have to wait.
    async with asyncio.TaskGroup() as both:
        sweep, audit = partial(run_once, database, gateways), partial(auditor.run_once, database)
        both.create_task(_repeat(stopped, SWEEP_EVERY_S, sweep))
        both.create_task(_repeat(stopped, auditor.ASK_EVERY_S, audit))
    await heartbeat.close()
    await database.engine.dispose()


async def _repeat(
    stopped: asyncio.Event, every_s: float, act: Callable[[], Awaitable[None]]
) -> None:
    while not stopped.is_set():
        try:
            await act()
        except Unavailable as outage:
            log.warning("The clock waits for the database: %s", outage)
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), every_s)


if __name__ == "__main__":
    asyncio.run(main())
