"""The command line, asked as a person asks it, of a real web process's API."""

import asyncio
import io
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from rich.console import Console

from db import audit, backlog, queues, tasks
from db.audit import Filter
from db.engine import Database, transaction
from db.matching import Filter as TaskFilter
from domain.task import Kind, NewTask, Queue, State
from ops.cli.__main__ import main
from tests.api.sockets import web
from tests.builders import a_placement, place, put_products
from tests.people import rows_of
from tests.staff import ADMIN, ADMIN_API_KEY
from workers import clock


class Said(NamedTuple):
    code: int
    text: str


Ask = Callable[..., Coroutine[Any, Any, Said]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(
    database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[int]:
    async with web(database_url, redis_url, tmp_path_factory.mktemp("cli") / "log") as process:
        yield process.port


@pytest.fixture
def orderflow(port: int, database: Database) -> Ask:
    """Run a command in a thread, as it has a loop of its own."""
    del database
    environ = {"ORDERFLOW_URL": f"http://127.0.0.1:{port}", "ORDERFLOW_API_KEY": ADMIN_API_KEY}

    async def ask(*arguments: str) -> Said:
        console = Console(file=io.StringIO(), width=200)
        code = await asyncio.to_thread(main, arguments, environ, console)
        assert isinstance(console.file, io.StringIO)
        return Said(code, console.file.getvalue())

    return ask


async def dead(database: Database, *, order_id: object = None) -> None:
    async with transaction(database) as tx:
        await tasks.schedule(tx, NewTask(Kind.NOTIFY))
    ended = """
        UPDATE tasks SET state = 'dead', attempt = 3, attempts_max = 3, finished_at = now(),
            last_error = 'Relay 10.0.0.7 is [bold]away', order_id = :id
        WHERE kind = 'notify' RETURNING id
        """
    await rows_of(database, ended, id=order_id)


async def states(database: Database) -> set[str]:
    return {state for (state,) in await rows_of(database, "SELECT state FROM tasks")}


async def test_queue_is_paused_and_resumed_and_the_log_says_by_whom(
    orderflow: Ask, database: Database
) -> None:
    async with transaction(database) as tx:
        await queues.put(tx, Queue.PAYMENTS, paused=False, running_max=4, by=None)

    paused = await orderflow("queues", "pause", "payments")
    listed = await orderflow("queues", "list")
    resumed = await orderflow("queues", "resume", "payments")

    assert [said.code for said in (paused, listed, resumed)] == [0, 0, 0]
    assert "paused" in paused.text
    assert "takes work" in resumed.text
    assert all(queue in listed.text for queue in Queue)
    async with transaction(database) as tx:
        assert (await queues.get(tx, Queue.PAYMENTS)).running_max == 4
        entries = await audit.page(tx, Filter(action="queue.put"), before=None, limit=9)
    assert [(entry.actor, entry.actor_kind) for entry in entries] == [(ADMIN, "key")] * 2


async def test_dead_tasks_are_shown_by_cause_and_replayed_after_a_dry_run(
    orderflow: Ask, database: Database
) -> None:
    await dead(database)

    listed = await orderflow("tasks", "dead", "--kind", "notify")
    tried = await orderflow("tasks", "replay", "--kind", "notify", "--dry-run")
    before = await states(database)
    replaying = asyncio.create_task(
        orderflow("tasks", "replay", "--kind", "notify", "--yes", "--per-s", "1000")
    )
    while not replaying.done():
        await clock.step_bulk(database)
        await asyncio.wait({replaying}, timeout=0.1)

    assert "Relay … is [bold]away" in listed.text
    assert "Relay 10.0.0.7 is [bold]away" in listed.text
    assert "1 match, 1 safe" in tried.text
    assert before == {"dead"}
    assert "done: 1 of 1 changed." in replaying.result().text
    assert await states(database) == {"ready"}


async def test_order_is_shown_explained_and_what_was_given_up_for_it_retried(
    orderflow: Ask, database: Database
) -> None:
    await put_products(database, APPLE=9)
    [order_id] = await place(database, a_placement(("APPLE", 1)))
    shown = await orderflow("orders", "show", str(order_id))
    nothing = await orderflow("orders", "retry", str(order_id))
    await rows_of(
        database,
        "UPDATE tasks SET state = 'dead', finished_at = now(), attempt = 8 WHERE order_id = :id"
        " RETURNING id",
        id=order_id,
    )

    explained = await orderflow("orders", "explain", str(order_id))
    retried = await orderflow("orders", "retry", str(order_id))

    assert "placed" in shown.text
    assert "order_placed" in shown.text
    assert "Nothing was given up" in nothing.text
    assert "given up" in explained.text
    assert "(reserve) is ready" in retried.text
    async with transaction(database) as tx:
        found = await backlog.page(tx, TaskFilter(State.READY), before=None, limit=9)
    assert [task.replayed for task in found] == [True]


async def test_top_shows_queues_and_processes(orderflow: Ask) -> None:
    said = await orderflow("top", "--once")

    assert "payments" in said.text
    assert "web" in said.text


async def test_what_cannot_be_done_is_told_with_its_reason(
    orderflow: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (await orderflow("queues", "pause", "teleportation")).code == 1
    assert "there are housekeeping" in capsys.readouterr().err
    assert (await orderflow("orders", "show", "01a1fc38-e824-799d-91fa-a3621629b8c6")).code == 1
    assert "(not_found)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environ", "code", "why"),
    [
        ({}, 2, "ORDERFLOW_API_KEY is empty"),
        ({"ORDERFLOW_API_KEY": "x", "ORDERFLOW_URL": "http://127.0.0.1:1"}, 1, "got no answer"),
    ],
)
def test_without_a_key_or_an_installation_it_says_so(
    capsys: pytest.CaptureFixture[str], environ: dict[str, str], code: int, why: str
) -> None:
    assert main(["queues", "list"], environ) == code
    assert why in capsys.readouterr().err
