"""The readings tell how many orders and tasks are open, and how long the oldest has waited."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import readings, tasks
from db.audits import AUDITED
from db.engine import Database
from domain.task import DONE, Kind, NewTask, Queue, State, Verdict
from ops.telemetry.metrics import SYSTEM
from tests.builders import a_placement, place, put_products


async def test_nothing_open_reads_as_nothing(tx: AsyncConnection) -> None:
    nothing: dict[str, object] = {name: {} for name in SYSTEM}
    nothing["orderflow_invariant_violations"] = {(one.name,): 0 for one in AUDITED}
    nothing["orderflow_audit_timestamp_seconds"] = {(): 0}
    nothing["orderflow_audit_round_timestamp_seconds"] = {(): 0}
    assert await readings.find(tx) == nothing


async def test_orders_are_counted_until_they_are_paid_or_ended(
    tx: AsyncConnection, database: Database
) -> None:
    await put_products(database, APPLE=10)
    ids = await place(database, *(a_placement(("APPLE", 1)) for _ in range(4)))
    move = text("UPDATE orders SET status = :status, cancel_reason = :reason WHERE id = :id")
    await tx.execute(move, {"id": ids[0], "status": "reserved", "reason": None})
    await tx.execute(move, {"id": ids[1], "status": "cancelled", "reason": "staff"})

    assert (await readings.find(tx))["orders"] == {("placed",): 2, ("reserved",): 1}


async def test_tasks_are_counted_by_state_until_they_are_done(tx: AsyncConnection) -> None:
    for _ in range(5):
        await tasks.schedule(tx, NewTask(Kind.PRUNE))
    leased = await tasks.lease(tx, Queue.HOUSEKEEPING, limit=3, lease_s=30)
    dead = Verdict(State.DEAD, "gave up")
    await tasks.finish(tx, [(leased[0], DONE), (leased[1], dead)], leased=True)

    assert (await readings.find(tx))["tasks"] == {
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

    assert waiting["tasks_oldest_due_seconds"] == {("housekeeping",): 90.0}
    assert planned["tasks_oldest_due_seconds"] == {("housekeeping",): 0.0}
