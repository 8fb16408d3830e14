"""Stories of work itself: a task that was given up, and a queue that is paused."""

from db.ids import new_id
from domain.schedule import Job
from domain.task import Kind, Queue
from ops.storm.matrix.scene import Scene


async def given_up(scene: Scene) -> None:
    """Have a task that was given up."""
    await scene.sql(
        "INSERT INTO tasks (queue, kind, state, attempt, attempts_max, finished_at)"
        " VALUES (%s, %s, 'dead', 3, 3, now())",
        Queue.HOUSEKEEPING.value,
        Kind.PRUNE.value,
    )


async def replay(scene: Scene) -> None:
    """Have it tried afresh."""
    [(task,)] = await scene.sql("SELECT max(id) FROM tasks WHERE kind = %s", Kind.PRUNE.value)
    await scene.write("POST", f"/v1/tasks/{task}/replay", {})


async def discard_all(scene: Scene) -> None:
    """Have all such tasks given up for good, which clocks do."""
    match = {"state": "dead", "kind": Kind.PRUNE}
    content = {"action": "discard", "match": match, "dry_run": False}
    await scene.write("POST", "/v1/tasks/bulks", content)


async def pause(scene: Scene) -> None:
    """Pause a queue that nothing of the lane is in."""
    content = {"paused": True, "running_max": None}
    await scene.write("PUT", f"/v1/queues/{Queue.SHIPPING}", content)


async def resume(scene: Scene) -> None:
    """Resume it."""
    query = "UPDATE queues SET paused = false, drain_to = NULL WHERE name = %s"
    await scene.sql(query, Queue.SHIPPING.value)


async def drain(scene: Scene) -> None:
    """Drain it: as nothing is in it, a clock finds it drained."""
    query = "UPDATE queues SET drain_to = 0 WHERE name = %s"
    await scene.sql(query, Queue.SHIPPING.value)


async def started(scene: Scene) -> None:
    """Have a process that says it runs, and hears nothing."""
    await scene.sql(
        "INSERT INTO processes (id, kind, host, pid, version) VALUES (%s, 'worker', %s, 0, '0')",
        *(new_id(), scene.name),
    )


async def stop(scene: Scene) -> None:
    """Ask it to stop."""
    [(process,)] = await scene.sql("SELECT id FROM processes WHERE host = %s", scene.name)
    await scene.write("POST", f"/v1/processes/{process}/stop", {})


async def suspend(scene: Scene) -> None:
    """Pause a periodic job."""
    await scene.write("PUT", f"/v1/schedules/{Job.PRUNE}", {"paused": True})


async def let_run(scene: Scene) -> None:
    """Resume it."""
    await scene.sql("UPDATE schedules SET paused = false WHERE job = %s", Job.PRUNE.value)
