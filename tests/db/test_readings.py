"""The readings tell how many orders and tasks are open, and how long the oldest has waited."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import processes, queues, readings, tasks
from db.audits import AUDITED
from db.engine import Database
from db.ids import new_id
from db.processes import ProcessKind, Self
from domain.task import DONE, Kind, NewTask, Queue, State, Verdict
from ops.telemetry.metrics import SYSTEM
from tests.builders import a_placement, place, put_products

QUEUES = tuple((queue.value,) for queue in Queue)
FROM_POSTGRES = SYSTEM.keys() - {"orderflow_build_info", "orderflow_database_up"}


async def test_nothing_open_reads_as_nothing_and_is_not_missing(tx: AsyncConnection) -> None:
    nothing: dict[str, object] = {name: {} for name in FROM_POSTGRES}
    nothing["orderflow_invariant_violations"] = {(one.name,): 0 for one in AUDITED}
    nothing["orderflow_audit_timestamp_seconds"] = {(): 0}
    nothing["orderflow_audit_round_timestamp_seconds"] = {(): 0}
    nothing["orderflow_orders"] = {(status.value,): 0 for status in readings.UNDER_WAY}
    states = ("ready", "running", "dead")
    nothing["orderflow_tasks"] = {(*queue, state): 0 for queue in QUEUES for state in states}
    nothing["orderflow_tasks_oldest_due_seconds"] = dict.fromkeys(QUEUES, 0)
    nothing["orderflow_processes"] = {("web",): 0, ("worker",): 0, ("clock",): 0}
    nothing["orderflow_queue_paused"] = dict.fromkeys(QUEUES, 0)
    assert await readings.find(tx) == nothing


async def test_orders_are_counted_until_they_are_paid_or_ended(
    tx: AsyncConnection, database: Database
) -> None:
    await put_products(database, APPLE=10)
    ids = await place(database, *(a_placement(("APPLE", 1)) for _ in range(4)))
    move = text("UPDATE orders SET status = :status, cancel_reason = :reason WHERE id = :id")
    await tx.execute(move, {"id": ids[0], "status": "reserved", "reason": None})
    await tx.execute(move, {"id": ids[1], "status": "cancelled", "reason": "staff"})

    assert _some((await readings.find(tx))["orderflow_orders"]) == {
        ("placed",): 2,
        ("reserved",): 1,
    }


async def test_tasks_are_counted_by_state_until_they_are_done(tx: AsyncConnection) -> None:
    for _ in range(5):
        await tasks.schedule(tx, NewTask(Kind.PRUNE))
    leased = await tasks.lease(tx, Queue.HOUSEKEEPING, limit=3, lease_s=30)
    dead = Verdict(State.DEAD, "gave up")
    await tasks.finish(tx, [(leased[0], DONE), (leased[1], dead)], leased=True)

    assert _some((await readings.find(tx))["orderflow_tasks"]) == {
        ("housekeeping", "ready"): 2,
        ("housekeeping", "running"): 1,
        ("housekeeping", "dead"): 1,
    }


async def test_oldest_due_task_says_how_long_work_waits(tx: AsyncConnection) -> None:
    await tasks.schedule(tx, NewTask(Kind.PRUNE))
    await tx.execute(text("UPDATE tasks SET run_at = now() - interval '90 s'"))
    await tasks.schedule(tx, NewTask(Kind.PRUNE))

    waiting = await readings.find(tx)
    await tx.execute(text("UPDATE tasks SET run_at = now() + interval '1 hour'"))
    planned = await readings.find(tx)

    assert _some(waiting["orderflow_tasks_oldest_due_seconds"]) == {("housekeeping",): 90.0}
    assert _some(planned["orderflow_tasks_oldest_due_seconds"]) == {}


async def test_payments_nobody_knows_the_end_of_are_counted_by_gateway(
    tx: AsyncConnection, database: Database
) -> None:
    await put_products(database, APPLE=10)
    [order_id] = await place(database, a_placement(("APPLE", 1)))
    unknown = """
        INSERT INTO payment_attempts
            (id, order_id, kind, state, amount_minor, currency, gateway, sent_at)
        VALUES (:id, :order_id, 'charge', 'unknown', 100, 'EUR', 'stripe',
                now() - interval '5 min')
    """
    await tx.execute(text(unknown), {"id": new_id(), "order_id": order_id})

    seen = await readings.find(tx)

    assert seen["orderflow_payments_unknown"] == {("stripe",): 1}
    assert seen["orderflow_payments_unknown_oldest_seconds"] == {("stripe",): 300.0}


async def test_paused_queue_is_told(tx: AsyncConnection) -> None:
    await queues.put(tx, Queue.PAYMENTS, paused=True, running_max=None, by=None)

    assert _some((await readings.find(tx))["orderflow_queue_paused"]) == {("payments",): 1}


async def test_processes_are_counted_while_they_tell_that_they_live(tx: AsyncConnection) -> None:
    for kind in (ProcessKind.WORKER, ProcessKind.WORKER, ProcessKind.CLOCK):
        own = Self(new_id(), kind, "here", 7, "0.1.0")
        await processes.beat(tx, own, rss_bytes=None, running=[])
    lost = "UPDATE processes SET heartbeat_at = now() - interval '1 min' WHERE kind = 'clock'"
    await tx.execute(text(lost))

    assert _some((await readings.find(tx))["orderflow_processes"]) == {("worker",): 2}


def _some(reading: readings.Reading) -> readings.Reading:
    return {labels: value for labels, value in reading.items() if value}
