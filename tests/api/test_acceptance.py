import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from time import monotonic

import httpx
import msgspec
import pytest
import redis.asyncio
from prometheus_client import REGISTRY
from sqlalchemy import insert

from api.application import build
from api.idempotency import PUBLIC
from db import tables
from db.engine import POOL_TIMEOUT_S, Database, transaction
from db.ids import new_id
from ops.config import Settings
from tests.builders import put_products
from tests.postgres import Wire, locked, rule, terminate, until, waiting_for_locks
from tests.web import NOBODY, assert_problem, post_order, rows, served

ONCE = "IF nextval('rule_calls') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;"


@pytest.fixture(autouse=True)
async def catalogue(database: Database) -> None:
    await put_products(database, APPLE=1000, PEAR=1000)


@pytest.fixture
async def wire(settings: Settings) -> AsyncGenerator[Wire]:
    async with Wire(settings.database_url).laid() as wire:
        yield wire


@pytest.fixture
async def wired(
    settings: Settings, wire: Wire, database: Database
) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of an application whose way to Postgres can be cut."""
    del database
    app = build(msgspec.structs.replace(settings, database_url=wire.url))
    async with served(app) as client:
        yield client


async def transactions(database: Database) -> int:
    """Count the transactions that wrote the orders there are."""
    async with transaction(database) as tx:
        found = await tx.exec_driver_sql("SELECT count(DISTINCT xmin::text) FROM orders")
        return found.scalar_one()


def statuses(answers: Sequence[httpx.Response]) -> list[int]:
    return [answer.status_code for answer in answers]


def ids(answers: Sequence[httpx.Response]) -> set[str]:
    return {answer.json()["id"] for answer in answers}


async def test_requests_at_the_same_time_share_transactions(
    client: httpx.AsyncClient, database: Database
) -> None:
    def groups() -> float:
        return REGISTRY.get_sample_value("orderflow_group_size_count", {"stage": "accept"}) or 0

    before = groups()

    answers = await asyncio.gather(*(post_order(client, ("APPLE", 1)) for _ in range(40)))

    assert statuses(answers) == [202] * 40
    assert len(ids(answers)) == 40
    assert await transactions(database) == groups() - before <= 4


async def test_a_group_is_no_larger_than_group_max(settings: Settings, database: Database) -> None:
    app = build(msgspec.structs.replace(settings, group_max=5))

    async with served(app) as client:
        answers = await asyncio.gather(*(post_order(client, ("APPLE", 1)) for _ in range(20)))

    assert statuses(answers) == [202] * 20
    assert 4 <= await transactions(database) <= 5


async def test_a_refused_order_does_not_touch_the_others_of_its_group(
    client: httpx.AsyncClient, database: Database
) -> None:
    answers = await asyncio.gather(
        *(post_order(client, ("NOTHING" if n % 3 == 0 else "APPLE", 1)) for n in range(30))
    )

    assert statuses(answers) == [422 if n % 3 == 0 else 202 for n in range(30)]
    for answer in answers[::3]:
        assert_problem(answer, 422, "unknown_sku", "lines[0].sku")
    written = await rows(database)
    assert (written["orders"], written["idempotency_keys"], written["tasks"]) == (20, 20, 20)


async def test_an_order_that_postgres_refuses_fails_alone(
    client: httpx.AsyncClient, database: Database
) -> None:
    body = "IF NEW.email = 'poison@example.com' THEN RAISE check_violation; END IF;"
    mails = ["poison@example.com" if n in {7, 20} else "ann@example.com" for n in range(30)]

    async with rule(database, "orders", body):
        answers = await asyncio.gather(*(post_order(client, ("APPLE", 1), email=m) for m in mails))

    assert statuses(answers) == [500 if n in {7, 20} else 202 for n in range(30)]
    written = await rows(database)
    assert (written["orders"], written["idempotency_keys"]) == (28, 28)


@pytest.mark.parametrize("at_commit", [False, True], ids=["in a statement", "at the commit"])
@pytest.mark.parametrize("count", [1, 10])
async def test_a_connection_cut_before_the_commit_costs_nobody_the_order(
    client: httpx.AsyncClient, database: Database, count: int, *, at_commit: bool
) -> None:
    async with rule(database, "orders", ONCE, at_commit=at_commit):
        answers = await asyncio.gather(*(post_order(client, ("APPLE", 1)) for _ in range(count)))

    assert statuses(answers) == [202] * count
    assert len(ids(answers)) == count
    assert (await rows(database))["orders"] == count


@pytest.mark.parametrize("count", [1, 10])
async def test_an_order_whose_commit_nobody_heard_of_is_placed_once(
    wired: httpx.AsyncClient, wire: Wire, database: Database, count: int
) -> None:
    wire.cut_at_commit = True

    answers = await asyncio.gather(*(post_order(wired, ("APPLE", 1)) for _ in range(count)))

    assert wire.commits_cut == 1
    assert statuses(answers) == [202] * count
    assert all("idempotent-replayed" not in answer.headers for answer in answers)
    written = await rows(database)
    assert (written["orders"], written["tasks"], len(ids(answers))) == (count, count, count)


async def test_a_restart_of_postgres_costs_nobody_the_order(
    client: httpx.AsyncClient, database: Database
) -> None:
    async with locked(database, "idempotency_keys"):
        placing = [asyncio.create_task(post_order(client, ("APPLE", 1))) for _ in range(10)]
        await until(partial(_is_waiting, database))
        await terminate(database)

    answers = await asyncio.gather(*placing)
    assert statuses(answers) == [202] * 10
    assert (await rows(database))["orders"] == 10


async def _is_waiting(database: Database) -> bool:
    return await waiting_for_locks(database) > 0


async def test_while_postgres_is_away_orders_are_told_to_come_back_and_then_placed_once(
    wired: httpx.AsyncClient, wire: Wire, database: Database
) -> None:
    wire.is_down = True
    refused = await asyncio.gather(
        *(post_order(wired, ("APPLE", 1), key=f"key-{n}") for n in range(10))
    )
    wire.is_down = False
    accepted = await asyncio.gather(
        *(post_order(wired, ("APPLE", 1), key=f"key-{n}") for n in range(10))
    )

    for answer in refused:
        assert_problem(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
    assert statuses(accepted) == [202] * 10
    assert all("idempotent-replayed" not in answer.headers for answer in accepted)
    assert (await rows(database))["orders"] == 10


async def test_without_a_free_connection_requests_are_told_to_come_back(
    settings: Settings, database: Database
) -> None:
    app = build(msgspec.structs.replace(settings, database_pool_max=2))
    engine = app.state.database.engine

    async with served(app, NOBODY) as client:
        async with engine.connect(), engine.connect():
            started = monotonic()
            refused = await asyncio.gather(
                post_order(client, ("APPLE", 1), key="a"), client.get("/v1/variants/APPLE")
            )
            took_s = monotonic() - started
        accepted = await post_order(client, ("APPLE", 1), key="a")

    for answer in refused:
        assert_problem(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
    assert took_s < 1.5 * POOL_TIMEOUT_S
    assert accepted.status_code == 202
    assert (await rows(database))["orders"] == 1


async def test_a_key_that_another_process_holds_holds_up_nobody_else(
    settings: Settings, database: Database
) -> None:
    app = build(msgspec.structs.replace(settings, lock_timeout_s=0.05))

    async with served(app, NOBODY) as client:
        async with holding(database, "held"):
            held, *others = await asyncio.gather(
                post_order(client, ("APPLE", 1), key="held"),
                *(post_order(client, ("APPLE", 1)) for _ in range(10)),
            )
        later = await post_order(client, ("APPLE", 1), key="held")

    assert_problem(held, 503, "unavailable")
    assert int(held.headers["retry-after"]) > 0
    assert statuses(others) == [202] * 10
    assert later.status_code == 202


@asynccontextmanager
async def holding(database: Database, key: str) -> AsyncGenerator[None]:
    """Use a key in a transaction that comes to nothing."""
    async with database.engine.connect() as other:
        insertion = insert(tables.idempotency_keys).values(
            scope=PUBLIC, key=key, fingerprint=b"", status=202, body=b"", order_id=new_id()
        )
        await other.execute(insertion)
        yield
        await other.rollback()


async def test_an_order_whose_client_left_is_placed_once(
    client: httpx.AsyncClient, database: Database
) -> None:
    async with locked(database, "idempotency_keys"):
        first = asyncio.create_task(post_order(client, ("APPLE", 1)))
        await until(partial(_is_waiting, database))
        second = asyncio.create_task(post_order(client, ("APPLE", 2), key="left"))
        await asyncio.sleep(0)
        left = [first, second]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        again = asyncio.create_task(post_order(client, ("APPLE", 2), key="left"))

    answer = await again
    assert answer.status_code == 202
    assert (await rows(database))["orders"] == 2
    assert (await client.get(answer.headers["location"])).json()["id"] == answer.json()["id"]


async def test_an_accepted_order_rings_for_its_reservation(
    client: httpx.AsyncClient, valkey: "redis.asyncio.Redis"
) -> None:
    assert (await post_order(client, ("APPLE", 1))).status_code == 202

    await until(partial(_has_rung, valkey))


async def _has_rung(valkey: "redis.asyncio.Redis") -> bool:
    return bool(await valkey.exists("dramatiq:inventory"))


async def test_orders_are_accepted_without_a_broker(settings: Settings, database: Database) -> None:
    app = build(msgspec.structs.replace(settings, redis_url="redis://127.0.0.1:1/0"))

    async with served(app) as client:
        answers = await asyncio.gather(*(post_order(client, ("APPLE", 1)) for _ in range(5)))

    assert statuses(answers) == [202] * 5
    assert (await rows(database))["tasks"] == 5
