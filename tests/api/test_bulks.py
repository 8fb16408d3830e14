"""Bulks as staff uses them: tried dry, carried out by clocks, stopped, and undone."""

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from db import bulk_steps
from db.engine import Database, transaction
from db.ids import new_id
from db.tables import tasks
from domain.task import ATTEMPTS_MAX, Kind, Queue
from tests.builders import a_placement, place, put_products
from tests.people import rows_of
from tests.staff import ADMIN
from tests.waiting import eventually
from tests.web import assert_problem
from workers import clock

DEAD_MAILS = {"state": "dead", "kind": "notify"}
Json = Mapping[str, Any]


async def write(
    database: Database, count: int, *, state: str = "dead", kind: Kind = Kind.NOTIFY, **more: Any
) -> list[int]:
    """Write tasks; ready ones are due in an hour."""
    given = {"error": "Relay 10.0.0.7 is away", "order_id": None, **more}
    query = """
        INSERT INTO tasks (queue, kind, state, order_id, attempt, attempts_max, run_at, last_error,
                           finished_at)
        SELECT 'notifications', :kind, :state, :order_id, 3, 3, now() + interval '1 h', :error,
               CASE :state WHEN 'dead' THEN now() END
        FROM generate_series(1, :count) RETURNING id
        """
    params = {"kind": kind.value, "state": state, "count": count, **given}
    return sorted(one for (one,) in await rows_of(database, query, **params))


async def ask(
    client: httpx.AsyncClient, action: str, match: Json, *, dry_run: bool = False, **more: Any
) -> httpx.Response:
    body = {"action": action, "match": match, "dry_run": dry_run, "per_s": 1000, **more}
    return await client.post("/v1/tasks/bulks", json=body)


async def let_pass(database: Database, seconds: float = 1) -> None:
    past = "UPDATE task_bulks SET stepped_at = stepped_at - make_interval(secs => :s) RETURNING id"
    await rows_of(database, past, s=seconds)


async def carried_out(
    client: httpx.AsyncClient, database: Database, answer: httpx.Response
) -> Json:
    """Have the clocks work until a bulk is done."""
    begun = answer.json().get("bulk") or answer.json()

    async def done() -> Json | None:
        await let_pass(database)
        await clock.step_bulk(database)
        found = (await client.get(f"/v1/tasks/bulks/{begun['id']}")).json()
        return None if found["state"] == "running" else found

    return await eventually(done) or {}


async def states(database: Database) -> dict[int, str]:
    query = "SELECT id, state FROM tasks"
    return dict(await rows_of(database, query))


async def an_open_charge(database: Database) -> int:
    """A dead charge of an order whose payment was sent, and nobody knows what became of it."""
    await put_products(database, APPLE=10)
    [order_id] = await place(database, a_placement(("APPLE", 1)))
    attempt = """
        INSERT INTO payment_attempts (id, order_id, kind, state, amount_minor, currency, gateway,
                                      sent_at)
        VALUES (:id, :order_id, 'charge', 'unknown', 500, 'GBP', 'stripe', now()) RETURNING id
        """
    await rows_of(database, attempt, id=new_id(), order_id=order_id)
    [task_id] = await write(database, 1, kind=Kind.CHARGE, order_id=order_id)
    return task_id


async def test_dry_run_counts_what_is_safe_and_says_why_the_rest_is_not(
    client: httpx.AsyncClient, database: Database
) -> None:
    await write(database, 4)
    task_id = await an_open_charge(database)
    before = await states(database)

    answer = await ask(client, "replay", {"state": "dead"}, dry_run=True)

    told = answer.json()
    assert (answer.status_code, told["matched"], told["safe"], told["bulk"]) == (200, 5, 4, None)
    [left_out] = told["left_out"]
    assert (left_out["reason"], left_out["count"]) == ("at_gateway", 1)
    assert left_out["task_ids"] == [task_id]
    assert "sent" in left_out["why"]
    assert await states(database) == before


async def test_replay_of_all_that_match_is_carried_out_by_clocks_and_touches_no_sent_charge(
    client: httpx.AsyncClient, database: Database, rung: list[frozenset[Queue]]
) -> None:
    mails = await write(database, 3)
    charge = await an_open_charge(database)
    rung.clear()

    answer = await ask(client, "replay", {"state": "dead"}, note="The relay is back")
    done = await carried_out(client, database, answer)

    assert answer.status_code == 202
    assert (done["state"], done["matched"], done["changed"], done["gone"]) == ("done", 4, 3, 0)
    assert (done["left_out"], done["asked_by"]) == ({"at_gateway": 1}, str(ADMIN))
    found = await states(database)
    assert [found[task_id] for task_id in (*mails, charge)] == ["ready"] * 3 + ["dead"]
    query = (
        "SELECT DISTINCT attempts_max - attempt FROM tasks WHERE kind = 'notify' AND attempt = 3"
    )
    assert await rows_of(database, query) == [(ATTEMPTS_MAX[Kind.NOTIFY],)]
    assert rung == [{Queue.NOTIFICATIONS}]


async def test_bulk_goes_no_faster_than_it_may_and_stops_when_it_is_told_to(
    client: httpx.AsyncClient, database: Database
) -> None:
    await write(database, 100)
    started = monotonic()
    begun = (await ask(client, "discard", DEAD_MAILS, per_s=2)).json()["bulk"]

    for _ in range(2):
        await let_pass(database, 2.3)
        await clock.step_bulk(database)
    await clock.step_bulk(database)
    midway = (await client.get(f"/v1/tasks/bulks/{begun['id']}")).json()
    passed_s = 2 * 2.3 + monotonic() - started
    stopped = await client.post(f"/v1/tasks/bulks/{begun['id']}/cancel")
    await let_pass(database, 60)
    await clock.step_bulk(database)

    changed = midway["changed"]
    assert midway["state"] == "running"
    assert 8 <= changed <= 2 * passed_s
    assert (stopped.json()["state"], stopped.json()["changed"]) == ("cancelled", changed)
    assert list((await states(database)).values()).count("cancelled") == changed


@pytest.mark.parametrize(
    ("action", "state", "changed"),
    [
        ("discard", "dead", "cancelled"),
        ("cancel", "ready", "cancelled"),
        ("replay", "dead", "ready"),
    ],
)
async def test_undone_bulk_leaves_tasks_as_they_were(
    client: httpx.AsyncClient, database: Database, action: str, state: str, changed: str
) -> None:
    await write(database, 3, state=state)
    columns = ", ".join(c.name for c in tasks.c if c.name != "payload")
    query = f"SELECT {columns} FROM tasks ORDER BY id"  # noqa: S608 - names of ours
    before = await rows_of(database, query)

    done = await carried_out(client, database, await ask(client, action, {"state": state}))
    between = set((await states(database)).values())
    undo = await client.post(f"/v1/tasks/bulks/{done['id']}/undo")
    undone = await carried_out(client, database, undo)

    assert (between, undone["changed"], undone["gone"]) == ({changed}, 3, 0)
    assert await rows_of(database, query) == before
    again = await client.post(f"/v1/tasks/bulks/{done['id']}/undo")
    assert_problem(again, 409, "conflict")
    assert_problem(await client.post(f"/v1/tasks/bulks/{undone['id']}/undo"), 409, "bulk_over")


async def test_undo_leaves_alone_what_something_came_of(
    client: httpx.AsyncClient, database: Database
) -> None:
    first, *_ = await write(database, 3)
    done = await carried_out(client, database, await ask(client, "replay", DEAD_MAILS))
    tried = "UPDATE tasks SET attempt = attempt + 1 WHERE id = :id RETURNING id"
    await rows_of(database, tried, id=first)

    undone = await carried_out(
        client, database, await client.post(f"/v1/tasks/bulks/{done['id']}/undo")
    )

    assert (undone["changed"], undone["gone"]) == (2, 1)
    assert (await states(database))[first] == "ready"


async def test_task_that_somebody_holds_is_left_to_them(
    client: httpx.AsyncClient, database: Database
) -> None:
    held, _ = await write(database, 2, state="ready")
    answer = await ask(client, "cancel", {"state": "ready"})

    async with transaction(database) as tx:
        await tx.execute(text("SELECT FROM tasks WHERE id = :id FOR UPDATE"), {"id": held})
        done = await carried_out(client, database, answer)

    assert (done["changed"], done["gone"]) == (1, 1)
    assert (await states(database))[held] == "ready"


async def test_of_many_clocks_each_task_is_changed_by_one(
    client: httpx.AsyncClient, database: Database
) -> None:
    await write(database, 50)
    begun = (await ask(client, "replay", DEAD_MAILS, per_s=20)).json()["bulk"]

    for _ in range(4):
        await let_pass(database)
        await asyncio.gather(*(clock.step_bulk(database) for _ in range(4)))

    found = (await client.get(f"/v1/tasks/bulks/{begun['id']}")).json()
    items = "SELECT count(*), count(DISTINCT task_id) FROM task_bulk_items"
    assert (found["state"], found["changed"]) == ("done", 50)
    assert await rows_of(database, items) == [(50, 50)]


async def test_batch_whose_clock_dies_before_its_commit_is_done_by_the_next(
    client: httpx.AsyncClient, database: Database
) -> None:
    await write(database, 3)
    answer = await ask(client, "discard", DEAD_MAILS)
    await let_pass(database)

    async with transaction(database) as dying:
        assert await bulk_steps.step(dying)
        await dying.rollback()

    done = await carried_out(client, database, answer)
    assert (done["changed"], done["gone"]) == (3, 0)


async def test_the_same_bulk_is_not_begun_twice(
    client: httpx.AsyncClient, database: Database
) -> None:
    await write(database, 1)
    first = await ask(client, "discard", DEAD_MAILS)

    assert_problem(await ask(client, "discard", DEAD_MAILS), 409, "conflict")
    assert (await ask(client, "replay", DEAD_MAILS)).status_code == 202
    assert_problem(
        await client.post(f"/v1/tasks/bulks/{first.json()['bulk']['id']}/undo"), 409, "bulk_over"
    )


@pytest.mark.parametrize(
    ("match", "count"),
    [
        ({"state": "dead"}, 5),
        ({"state": "dead", "kind": "notify"}, 3),
        ({"state": "dead", "error": "relay"}, 3),
        ({"state": "dead", "error": "nothing"}, 0),
        ({"state": "dead", "queue": "payments"}, 0),
        ({"state": "dead", "created_from": "2030-01-01T00:00:00Z"}, 0),
        ({"state": "dead", "created_before": "2030-01-01T00:00:00Z"}, 5),
        ({"state": "dead", "order_id": "01a1fc38-e824-799d-91fa-a3621629b8c6"}, 0),
    ],
)
async def test_bulk_acts_on_what_the_list_shows(
    client: httpx.AsyncClient, database: Database, match: Json, count: int
) -> None:
    await write(database, 3)
    await write(database, 2, kind=Kind.PRUNE, error="Stuck")
    await write(database, 1, state="ready")

    answer = await ask(client, "discard", match, dry_run=True)
    names = {"order_id": "order"}
    query = {names.get(name, name): value for name, value in match.items()}
    listed = (await client.get("/v1/tasks", params=query)).json()["tasks"]

    assert (answer.json()["matched"], len(listed)) == (count, count)


async def test_action_is_refused_for_tasks_it_is_not_for(client: httpx.AsyncClient) -> None:
    refused = await ask(client, "cancel", {"state": "dead"})

    assert_problem(refused, 400, "invalid_request", "match.state")


async def test_dead_tasks_are_grouped_by_cause(
    client: httpx.AsyncClient, database: Database
) -> None:
    for n in range(3):
        await write(database, 2, error=f"Relay 10.0.0.{n} is away")
    await write(database, 1, error=None)

    first, second = (await client.get("/v1/tasks/causes")).json()["causes"]

    assert (first["count"], first["cause"], first["kind"]) == (6, "Relay … is away", "notify")
    assert (second["count"], second["error"]) == (1, "")
    match = {"state": "dead", "error": first["error"]}
    assert (await ask(client, "replay", match, dry_run=True)).json()["matched"] == 6
