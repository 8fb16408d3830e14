"""Processes as staff sees them: what they do, which are lost, and how one is asked to stop."""

from typing import Any
from uuid import UUID

import httpx

from db import processes
from db.engine import Database, transaction
from db.ids import new_id
from db.processes import LOST_AFTER_S, ProcessKind, Self
from ops.telemetry.activity import Told
from tests.people import rows_of
from tests.staff import ADMIN
from tests.waiting import eventually
from tests.web import assert_problem

ORDER = new_id()
CHARGE = Told("payments", "charge", 5.0, {"task_id": "7", "order_id": str(ORDER)})


async def a_process(database: Database, *running: Told) -> UUID:
    own = Self(new_id(), ProcessKind.WORKER, "elsewhere", 7, "0.1.0")
    async with transaction(database) as tx:
        await processes.beat(tx, own, rss_bytes=50_000_000, running=running)
    return own.id


async def shown(client: httpx.AsyncClient, process_id: UUID) -> dict[str, Any]:
    answer = await client.get("/v1/processes")
    return next(one for one in answer.json()["processes"] if one["id"] == str(process_id))


async def test_web_process_that_answers_is_among_those_it_lists(client: httpx.AsyncClient) -> None:
    async def webs() -> list[dict[str, Any]]:
        found = (await client.get("/v1/processes")).json()["processes"]
        return [one for one in found if one["kind"] == "web"]

    [web] = await eventually(webs)

    assert (web["lost"], web["stop_asked_at"]) == (False, None)
    assert web["rss_bytes"] is None or web["rss_bytes"] > 1_000_000


async def test_process_shows_what_it_does_and_since_when(
    client: httpx.AsyncClient, database: Database
) -> None:
    process_id = await a_process(database, CHARGE)

    found = await shown(client, process_id)

    [running] = found["running"]
    assert (running["stage"], running["what"], running["task_id"]) == ("payments", "charge", 7)
    assert running["order_id"] == str(ORDER)
    assert running["since"] < found["heartbeat_at"]


async def test_process_that_is_not_heard_of_is_lost(
    client: httpx.AsyncClient, database: Database
) -> None:
    process_id = await a_process(database)
    past = "UPDATE processes SET heartbeat_at = now() - make_interval(secs => :s) RETURNING id"
    await rows_of(database, past, s=LOST_AFTER_S + 1)

    assert (await shown(client, process_id))["lost"]


async def test_process_that_is_asked_to_stop_hears_so_at_its_next_heartbeat(
    client: httpx.AsyncClient, database: Database
) -> None:
    process_id = await a_process(database)

    first = await client.post(f"/v1/processes/{process_id}/stop")
    again = await client.post(f"/v1/processes/{process_id}/stop")

    assert (first.status_code, first.json()["stop_asked_by"]) == (202, str(ADMIN))
    assert again.json()["stop_asked_at"] == first.json()["stop_asked_at"]
    async with transaction(database) as tx:
        own = Self(process_id, ProcessKind.WORKER, "elsewhere", 7, "0.1.0")
        assert await processes.beat(tx, own, rss_bytes=None, running=())


async def test_process_that_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    assert_problem(await client.post(f"/v1/processes/{ORDER}/stop"), 404, "not_found")
