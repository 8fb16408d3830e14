"""Tasks as staff sees them, and how dead ones are replayed and discarded."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from api.pages import NUMBER_MAX, encode
from db import audit, tasks
from db.audit import Filter
from db.engine import Database, transaction
from db.ids import new_id
from domain.payment import Declined
from domain.task import ATTEMPTS_MAX, DONE, Kind, NewTask, Queue, State
from ops.config import Settings
from tests.api.paid import TOTAL, Pay, money
from tests.api.routes import STAFF
from tests.bank import Bank
from tests.records import assert_sound, attempts, cash
from tests.stages import settle_payments
from tests.web import assert_problem

NOTE = {"note": "Done by hand."}


async def dead(database: Database, *kinds: Kind) -> list[int]:
    """Tasks that were given up at their third attempt, oldest first."""
    async with transaction(database) as tx:
        for kind in kinds:
            await tasks.schedule(tx, NewTask(kind))
        query = (
            "UPDATE tasks SET state = 'dead', attempt = 3, attempts_max = 3, lease_until = NULL,"
            " finished_at = now() RETURNING id"
        )
        rows = await tx.execute(text(query))
        return sorted(rows.scalars())


async def listed(client: httpx.AsyncClient, query: str = "") -> Sequence[dict[str, Any]]:
    answer = await client.get(f"/v1/tasks{query}", headers=STAFF)
    assert answer.status_code == 200, answer.text
    return answer.json()["tasks"]


async def replay(client: httpx.AsyncClient, task_id: int) -> httpx.Response:
    return await client.post(f"/v1/tasks/{task_id}/replay", headers=STAFF)


async def discard(client: httpx.AsyncClient, task_id: int, body: Any = NOTE) -> httpx.Response:
    return await client.post(f"/v1/tasks/{task_id}/discard", json=body, headers=STAFF)


async def logged(database: Database, action: str) -> list[audit.EntryView]:
    async with transaction(database) as tx:
        return await audit.page(tx, Filter(action=action), before=None, limit=10)


async def test_list_shows_dead_tasks_newest_first_by_pages(
    client: httpx.AsyncClient, database: Database
) -> None:
    made = await dead(database, Kind.PRUNE, Kind.RESERVE, Kind.PRUNE)
    async with transaction(database) as tx:
        await tasks.schedule(tx, NewTask(Kind.PRUNE))

    first = await client.get("/v1/tasks?limit=2", headers=STAFF)
    second = await client.get(first.links["next"]["url"], headers=STAFF)

    shown = [one["id"] for answer in (first, second) for one in answer.json()["tasks"]]
    assert shown == made[::-1]
    assert "link" not in second.headers
    assert [one["id"] for one in await listed(client, "?kind=reserve")] == [made[1]]
    assert [one["state"] for one in await listed(client, "?state=ready")] == ["ready"]
    assert await listed(client, f"?order={new_id()}") == []


async def test_replayed_task_has_fresh_attempts_and_its_old_worker_writes_nothing(
    client: httpx.AsyncClient, database: Database
) -> None:
    async with transaction(database) as tx:
        await tasks.schedule(tx, NewTask(Kind.PRUNE))
        [lost] = await tasks.lease(tx, Queue.HOUSEKEEPING, limit=1, lease_s=60)
    [task_id] = await dead(database)

    answer = (await replay(client, task_id)).json()
    again = (await replay(client, task_id)).json()

    assert (answer["state"], answer["attempt"]) == ("ready", 3)
    assert (answer["attempts_max"], answer["replayed"]) == (3 + ATTEMPTS_MAX[Kind.PRUNE], True)
    assert again == answer
    async with transaction(database) as tx:
        [leased] = await tasks.lease(tx, Queue.HOUSEKEEPING, limit=1, lease_s=60)
        assert leased.attempt == 4
        assert await tasks.finish(tx, [(lost, DONE)], leased=True) == frozenset()
        assert await tasks.finish(tx, [(leased, DONE)], leased=True) == {task_id}
    [entry] = await logged(database, "task.replay")
    assert (entry.target_kind, entry.target) == ("task", str(task_id))


async def test_discarded_task_is_not_done_and_the_log_says_why(
    client: httpx.AsyncClient, database: Database
) -> None:
    [task_id] = await dead(database, Kind.PRUNE)

    answer = await discard(client, task_id)
    again = await discard(client, task_id)

    assert (answer.json()["state"], again.json()) == (State.CANCELLED, answer.json())
    assert await listed(client) == []
    [entry] = await logged(database, "task.discard")
    assert entry.after == {"state": "cancelled", "note": "Done by hand."}
    assert_problem(await replay(client, task_id), 409, "task_not_dead")


async def test_task_that_is_not_dead_is_neither_replayed_nor_discarded(
    client: httpx.AsyncClient, database: Database
) -> None:
    async with transaction(database) as tx:
        await tasks.schedule(tx, NewTask(Kind.PRUNE))
    [waiting] = await listed(client, "?state=ready")

    assert_problem(await replay(client, waiting["id"]), 409, "task_not_dead")
    assert_problem(await discard(client, waiting["id"]), 409, "task_not_dead")
    assert await listed(client, "?state=ready") == [waiting]


async def test_task_of_a_newer_release_is_left_to_it(
    client: httpx.AsyncClient, database: Database
) -> None:
    [task_id] = await dead(database, Kind.PRUNE)
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE tasks SET kind = 'teleport'"))

    assert_problem(await replay(client, task_id), 409, "conflict")
    assert (await discard(client, task_id)).status_code == 200


@pytest.mark.parametrize("body", [{}, {"note": ""}, {"note": "a\nb"}, {"note": 1}])
async def test_discarding_says_why(
    client: httpx.AsyncClient, database: Database, body: dict[str, Any]
) -> None:
    [task_id] = await dead(database, Kind.PRUNE)

    assert_problem(await discard(client, task_id, body), 400, "invalid_request", "note")
    assert [one["id"] for one in await listed(client)] == [task_id]


async def test_task_that_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    assert_problem(await replay(client, NUMBER_MAX), 404, "not_found")
    assert_problem(await discard(client, NUMBER_MAX), 404, "not_found")
    assert_problem(await replay(client, NUMBER_MAX + 1), 400, "invalid_request", "task_id")
    beyond = await client.get(f"/v1/tasks?cursor={encode(new_id())}", headers=STAFF)
    assert_problem(beyond, 400, "invalid_cursor", "cursor")


async def test_request_that_explain_names_gives_refused_money_back(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank, pay: Pay
) -> None:
    location = await pay()
    order_id = UUID(location.rpartition("/")[2])
    bank.answers.append(Declined("insufficient_funds"))
    await client.post(f"{location}/cancel", headers=STAFF)
    await settle_payments(database, settings, bank)

    told = (await client.get(f"{location}/explain", headers=STAFF)).json()
    method, path = told["action"].split()
    answer = await client.request(method, path, headers=STAFF)
    await settle_payments(database, settings, bank)

    assert "given up after 1 refusal with" in told["sentence"]
    assert answer.status_code == 200
    assert await money(client, location) == (TOTAL, TOTAL, TOTAL, 0, 0)
    assert sum(await cash(database, order_id)) == sum(bank.takings(order_id)) == 0
    made = await attempts(database, order_id)
    assert made == [("charge", "succeeded"), ("refund", "declined"), ("refund", "succeeded")]
    await assert_sound(database)
