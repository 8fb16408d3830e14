import logging
from collections.abc import AsyncGenerator

import httpx
import pytest
import pytest_asyncio

from api.application import build
from db.engine import Database
from ops.config import Settings
from tests.api.routes import ORDER
from tests.conftest import ADMIN_API_KEY, UNLIMITED
from tests.web import assert_problem, rows, served

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTES = [
    ("GET", "/v1/orders"),
    ("PUT", "/v1/products/APPLE"),
    ("GET", "/v1/stock/APPLE"),
    ("PUT", "/v1/stock/APPLE"),
    ("GET", f"/v1/orders/{ORDER}/explain"),
    ("POST", f"/v1/orders/{ORDER}/capture"),
    ("POST", f"/v1/orders/{ORDER}/refunds"),
    ("POST", f"/v1/orders/{ORDER}/void"),
    ("POST", f"/v1/orders/{ORDER}/resolve"),
    ("GET", "/v1/ledger"),
    ("GET", "/v1/findings"),
    ("POST", "/v1/findings/1/close"),
]
BODIES = {
    "/v1/products/APPLE": {"name": "Apple", "price_minor": 250, "currency": "GBP"},
    "/v1/stock/APPLE": {"on_hand": 5},
}


FOR_EVERYBODY = {
    ("POST", "/v1/orders"),
    ("GET", "/v1/orders/{order_id}"),
    ("GET", "/v1/orders/{order_id}/events"),
    ("POST", "/v1/orders/{order_id}/cancel"),
    ("GET", "/v1/orders/{order_id}/payments"),
    ("POST", "/v1/orders/{order_id}/payment-method"),
    ("POST", "/v1/gateways/{name}/webhook"),
    ("GET", "/v1/products/{sku}"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def closed(
    database_url: str, redis_url: str, shop_database: Database
) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of an application that has no key of staff."""
    del shop_database
    settings = Settings(database_url=database_url, redis_url=redis_url, **UNLIMITED)
    async with served(build(settings)) as client:
        yield client


async def ask(
    client: httpx.AsyncClient, method: str, path: str, authorization: str | None
) -> httpx.Response:
    headers = {} if authorization is None else {b"Authorization": authorization.encode()}
    body = BODIES.get(path) if method == "PUT" else None
    return await client.request(method, path, json=body, headers=headers)


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {ADMIN_API_KEY}x",
        f"Bearer {ADMIN_API_KEY[:-1]}",
        f"Bearer {ADMIN_API_KEY.upper()}",
        f"Basic {ADMIN_API_KEY}",
        ADMIN_API_KEY,
        "Bearer \u00e4",
    ],
)
async def test_who_has_not_the_key_of_staff_is_kept_out(
    shop: httpx.AsyncClient,
    shop_database: Database,
    method: str,
    path: str,
    authorization: str | None,
) -> None:
    before = await rows(shop_database)

    answer = await ask(shop, method, path, authorization)

    assert_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert await rows(shop_database) == before


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_who_has_it_is_let_in(
    shop: httpx.AsyncClient, method: str, path: str, scheme: str
) -> None:
    answer = await ask(shop, method, path, f"{scheme} {ADMIN_API_KEY}")

    assert answer.status_code not in {401, 403}


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer ", "Bearer x"])
async def test_without_a_configured_key_nobody_is_staff(
    closed: httpx.AsyncClient, method: str, path: str, authorization: str | None
) -> None:
    answer = await ask(closed, method, path, authorization)

    assert_problem(answer, 403, "forbidden")


@pytest.mark.parametrize(
    "path", ["/v1/products/APPLE", "/health/live", "/health/ready", "/openapi.json", "/metrics"]
)
async def test_what_is_for_everybody_needs_no_key(closed: httpx.AsyncClient, path: str) -> None:
    assert (await closed.get(path)).status_code == 200


async def test_every_route_that_is_not_known_to_be_for_everybody_is_for_staff(
    shop: httpx.AsyncClient,
) -> None:
    document = (await shop.get("/openapi.json")).json()
    guarded = {
        (method.upper(), path): bool(operation.get("security"))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }

    assert {route for route, staff in guarded.items() if not staff} == FOR_EVERYBODY
    assert {
        (method, path.format(sku="APPLE", order_id=ORDER, finding_id=1))
        for (method, path), staff in guarded.items()
        if staff
    } == set(ROUTES)


async def test_the_key_is_never_logged(
    shop: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    await ask(shop, "GET", "/v1/orders", f"Bearer {ADMIN_API_KEY}")
    await ask(shop, "GET", "/v1/orders", f"Basic {ADMIN_API_KEY}")

    logged = str([vars(record) for record in caplog.records])
    assert "access" in logged
    assert ADMIN_API_KEY not in logged
