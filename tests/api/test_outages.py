"""The application while Postgres is away, restarted, or in somebody else's hands."""

import json
from collections.abc import AsyncGenerator

import httpx
import msgspec
import pytest
import pytest_asyncio
from litestar import Litestar

from api.application import build
from db.engine import Database
from db.ids import new_id
from ops.config import Settings
from tests.api.routes import ENDING, PRODUCT, ROUTES, send
from tests.conftest import UNLIMITED
from tests.postgres import connections, locked, rule, terminate, until
from tests.signed import SIGNING_KEY
from tests.staff import SECRET_KEY, TOKEN_KEY
from tests.web import asking, assert_problem, post_order, served

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def adrift_app(redis_url: str) -> Litestar:
    """An application whose Postgres does not answer."""
    settings = Settings(
        database_url="postgresql://127.0.0.1:1/nowhere",
        redis_url=redis_url,
        secret_keys=SECRET_KEY,
        token_keys=TOKEN_KEY,
        stripe_webhook_secrets=SIGNING_KEY,
        **UNLIMITED,
    )
    return build(settings)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def adrift(adrift_app: Litestar) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of it."""
    async with served(adrift_app) as client:
        yield client


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_while_postgres_is_away_every_route_says_when_to_come_back(
    adrift: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await send(adrift, method, path)

    assert_problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert "127.0.0.1" not in answer.text


async def test_while_postgres_is_away_the_process_is_alive_but_not_ready(
    adrift: httpx.AsyncClient,
) -> None:
    assert (await adrift.get("/health/live")).status_code == 200
    assert (await adrift.get("/health/ready")).status_code == 503
    assert (await adrift.get("/metrics")).status_code == 200


async def test_while_postgres_is_away_what_is_wrong_anyway_is_still_said(
    adrift: httpx.AsyncClient, adrift_app: Litestar
) -> None:
    broken = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    async with asking(adrift_app) as nobody:
        answer = await nobody.post("/v1/orders", content=b"{", headers=broken)
    assert answer.status_code == 400
    unknown = {"Authorization": "Basic Og=="}
    assert (await adrift.get("/v1/orders", headers=unknown)).status_code == 401
    assert (await adrift.get("/nowhere")).status_code == 404


@pytest.fixture
def settings_of_its_own(database_url: str, redis_url: str) -> Settings:
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        token_keys=TOKEN_KEY,
        **UNLIMITED,
    )


@pytest.mark.parametrize(("method", "path"), [r for r in ROUTES if r not in ENDING])
async def test_after_a_restart_of_postgres_nothing_fails_but_with_a_503(
    shop: httpx.AsyncClient, shop_database: Database, method: str, path: str
) -> None:
    expected = (await send(shop, method, path)).status_code
    await terminate(shop_database)

    first = await send(shop, method, path)
    second = await send(shop, method, path)

    # What is created the first time is replaced the second time.
    if first.status_code not in {expected, 200}:
        assert_problem(first, 503, "unavailable")
    assert second.status_code in {expected, 200}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("PERFORM pg_terminate_backend(pg_backend_pid());", 503),
        ("RAISE admin_shutdown;", 503),
        ("RAISE serialization_failure;", 503),
        ("RAISE check_violation;", 500),
    ],
)
async def test_success_is_said_only_of_what_is_committed(
    shop: httpx.AsyncClient, shop_database: Database, body: str, status: int
) -> None:
    path = f"/v1/variants/{new_id()}"

    async with rule(shop_database, "variants", body, at_commit=True):
        answer = await send(shop, "PUT", path, json.dumps(PRODUCT).encode())

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert_problem(await shop.get(path), 404, "not_found")


async def test_who_waits_too_long_for_a_lock_is_told_to_come_back(
    settings_of_its_own: Settings, shop: httpx.AsyncClient, shop_database: Database
) -> None:
    location = (await post_order(shop, ("APPLE", 1))).headers["location"]
    hasty = build(msgspec.structs.replace(settings_of_its_own, lock_timeout_s=0.05))

    async with served(hasty) as client, locked(shop_database, "orders"):
        answer = await client.post(f"{location}/cancel")

    assert_problem(answer, 503, "unavailable")
    assert (await shop.post(f"{location}/cancel")).status_code == 200


async def test_a_stopped_application_leaves_no_connection_behind(
    settings_of_its_own: Settings, shop_database: Database
) -> None:
    before = await connections(shop_database)

    async def are_gone() -> bool:
        return await connections(shop_database) <= before

    async with served(build(settings_of_its_own)) as client:
        assert (await client.get("/health/ready")).status_code == 200
        assert not await are_gone()

    await until(are_gone)
