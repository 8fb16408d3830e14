"""Periodic jobs as staff sees them, pauses them, and has them run at once."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from db.engine import Database, transaction
from domain.schedule import SCHEDULES, Job
from tests.people import rows_of
from tests.staff import ADMIN
from tests.web import assert_problem
from workers import clock


async def shown(client: httpx.AsyncClient, job: Job) -> dict[str, Any]:
    answer = await client.get("/v1/schedules")
    return next(one for one in answer.json()["schedules"] if one["job"] == job)


async def prunings(database: Database) -> int:
    [(count,)] = await rows_of(database, "SELECT count(*) FROM tasks WHERE kind = 'prune'")
    return count


async def let_a_slot_pass(database: Database) -> None:
    async with transaction(database) as tx:
        query = "UPDATE cron_runs SET slot = slot - make_interval(secs => :s) WHERE job = 'prune'"
        await tx.execute(text(query), {"s": SCHEDULES[Job.PRUNE].every_s})


async def test_list_tells_when_each_job_ran_and_runs_next(
    client: httpx.AsyncClient, database: Database
) -> None:
    before = await shown(client, Job.PRUNE)
    await clock.schedule(database)

    after = await shown(client, Job.PRUNE)
    jobs = [one["job"] for one in (await client.get("/v1/schedules")).json()["schedules"]]
    assert jobs == sorted(Job)
    assert (before["last_run_at"], before["paused"], before["every_s"]) == (None, False, 600)
    assert after["last_run_at"] < after["next_run_at"]


async def test_paused_job_does_not_run_until_it_is_resumed(
    client: httpx.AsyncClient, database: Database
) -> None:
    paused = await client.put("/v1/schedules/prune", json={"paused": True})
    await clock.schedule(database)
    while_paused = await prunings(database)
    await client.put("/v1/schedules/prune", json={"paused": False})
    await clock.schedule(database)

    assert (paused.json()["next_run_at"], paused.json()["changed_by"]) == (None, str(ADMIN))
    assert (while_paused, await prunings(database)) == (0, 1)


@pytest.mark.parametrize("paused", [False, True])
async def test_job_that_is_asked_for_runs_once_more_in_a_slot_that_is_taken(
    client: httpx.AsyncClient, database: Database, *, paused: bool
) -> None:
    await clock.schedule(database)
    await client.put("/v1/schedules/prune", json={"paused": paused})

    asked = [await client.post("/v1/schedules/prune/run") for _ in range(2)]
    await clock.schedule(database)
    await clock.schedule(database)

    assert [answer.status_code for answer in asked] == [202, 202]
    assert await prunings(database) == 2
    assert (await shown(client, Job.PRUNE))["run_asked_at"] is None
    await let_a_slot_pass(database)
    await clock.schedule(database)
    assert await prunings(database) == (2 if paused else 3)


async def test_job_that_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    put = await client.put("/v1/schedules/teleport", json={"paused": True})

    assert_problem(put, 404, "not_found")
    assert_problem(await client.post("/v1/schedules/teleport/run"), 404, "not_found")
