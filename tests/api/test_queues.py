"""Queues as staff sees, pauses, resumes and limits them."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from db import audit, tasks
from db.audit import Filter
from db.engine import Database, transaction
from domain.task import DONE, Kind, NewTask, Queue
from tests.api.routes import STAFF
from tests.staff import ADMIN
from tests.web import assert_problem
from workers import clock


async def put(client: httpx.AsyncClient, name: str, body: Any) -> httpx.Response:
    return await client.put(f"/v1/queues/{name}", json=body, headers=STAFF)


async def shown(client: httpx.AsyncClient, name: str) -> dict[str, Any]:
    answer = await client.get("/v1/queues", headers=STAFF)
    return next(one for one in answer.json()["queues"] if one["name"] == name)


async def test_list_shows_every_queue_and_counts_its_work(
    client: httpx.AsyncClient, database: Database
) -> None:
    async with transaction(database) as tx:
        for _ in range(3):
            await tasks.schedule(tx, NewTask(Kind.PRUNE))
        await tasks.lease(tx, Queue.HOUSEKEEPING, limit=1, lease_s=60)
        query = (
            "UPDATE tasks SET state = 'dead', finished_at = now()"
            " WHERE id = (SELECT max(id) FROM tasks)"
        )
        await tx.execute(text(query))

    answer = await client.get("/v1/queues", headers=STAFF)

    assert [one["name"] for one in answer.json()["queues"]] == sorted(Queue)
    found = await shown(client, "housekeeping")
    assert (found["ready"], found["scheduled"], found["running"], found["dead"]) == (1, 0, 1, 1)
    assert (found["paused"], found["running_max"], found["changed_by"]) == (False, None, None)
    assert found["oldest_due_s"] > 0


async def test_paused_queue_gives_nothing_out_until_it_is_resumed(
    client: httpx.AsyncClient, database: Database
) -> None:
    async with transaction(database) as tx:
        await tasks.schedule(tx, NewTask(Kind.PRUNE))

    async def claimed() -> int:
        async with transaction(database) as tx:
            return len(await tasks.lease(tx, Queue.HOUSEKEEPING, limit=9, lease_s=60))

    paused = await put(client, "housekeeping", {"paused": True, "running_max": 4})
    before = await claimed()
    resumed = await put(client, "housekeeping", {"paused": False, "running_max": None})

    assert (paused.json()["paused"], paused.json()["running_max"]) == (True, 4)
    assert paused.json()["changed_by"] == str(ADMIN)
    assert (resumed.json()["paused"], resumed.json()["running_max"]) == (False, None)
    assert (before, await claimed()) == (0, 1)
    async with transaction(database) as tx:
        entries = await audit.page(tx, Filter(action="queue.put"), before=None, limit=10)
    assert [entry.after for entry in entries] == [
        {"paused": False, "running_max": None},
        {"paused": True, "running_max": 4},
    ]
    assert entries[0].before == {"paused": True, "running_max": 4}


async def test_queue_keeps_what_a_change_does_not_name(client: httpx.AsyncClient) -> None:
    await client.post("/v1/queues/shipping/drain")

    limited = (await put(client, "shipping", {"running_max": 4})).json()
    paused = (await put(client, "shipping", {"paused": True})).json()
    unlimited = (await put(client, "shipping", {"running_max": None})).json()

    assert (limited["draining"], limited["running_max"]) == (True, 4)
    assert (paused["draining"], paused["paused"], paused["running_max"]) == (False, True, 4)
    assert (unlimited["paused"], unlimited["running_max"]) == (True, None)
    assert_problem(await put(client, "shipping", {}), 400, "invalid_request")


async def test_queue_is_drained_once_and_then_paused(
    client: httpx.AsyncClient, database: Database
) -> None:
    drained = [await client.post("/v1/queues/shipping/drain") for _ in range(2)]
    draining = await shown(client, "shipping")
    await clock.end_drains(database)

    assert [answer.status_code for answer in drained] == [202, 202]
    assert (draining["draining"], draining["changed_by"]) == (True, str(ADMIN))
    after = await shown(client, "shipping")
    assert (after["draining"], after["paused"]) == (False, True)
    async with transaction(database) as tx:
        entries = await audit.page(tx, Filter(action="queue.drain"), before=None, limit=10)
    assert len(entries) == 1


async def test_throughput_tells_what_was_done(
    client: httpx.AsyncClient, database: Database
) -> None:
    async with transaction(database) as tx:
        await tasks.schedule(tx, NewTask(Kind.PRUNE))
        done = await tasks.claim(tx, Queue.HOUSEKEEPING, limit=1)
        await tasks.finish(tx, [(task, DONE) for task in done], leased=False)

    [told] = (await client.get("/v1/queues/throughput")).json()["throughput"]

    assert (told["name"], told["done"], sum(told["counts"])) == ("housekeeping", 1, 1)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"paused": "yes", "running_max": 1}, "paused"),
        ({"paused": False, "running_max": -1}, "running_max"),
        ({"paused": False, "running_max": 1, "name": "other"}, "name"),
    ],
)
async def test_queue_is_left_alone_by_what_is_not_right(
    client: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    before = await shown(client, "shipping")

    assert_problem(await put(client, "shipping", body), 400, "invalid_request", field)
    assert await shown(client, "shipping") == before


async def test_queue_that_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    body = {"paused": False, "running_max": None}

    assert_problem(await put(client, "teleportation", body), 404, "not_found")
