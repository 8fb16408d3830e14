"""Scripts of other sites: those on the list may read answers, and no name that looks like one."""

from collections.abc import AsyncGenerator

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar

from api.application import build
from api.cors import Cors
from db.engine import Database
from domain import claim
from ops.config import SettingInvalid, Settings
from tests.conftest import UNLIMITED
from tests.staff import TOKEN_KEY
from tests.web import served

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHOP, ADMIN = "https://shop.example", "http://localhost:5173"
FOREIGN = [
    *("https://evil.example", "http://shop.example", "https://shop.example:8443", "null", "*"),
    *("https://shop.example.evil.example", "https://evilshop.example", "https://sub.shop.example"),
    *("https://shop-example", "https://shopxexample", "https://SHOP.example", ""),
    *(
        "https://shop.example/",
        "https://shop.example.",
        "https://shop.example,https://evil.example",
    ),
    *("https://shop.example https://evil.example", "https://evil.example#https://shop.example"),
]
PATHS = ["/v1/variants/APPLE", "/nowhere", "/v1/orders", "/health/live", "/v1/orders/none"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(
    database_url: str, redis_url: str, shop_database: Database
) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of an application with two sites on its list."""
    del shop_database
    settings = Settings(
        database_url=database_url,
        redis_url=redis_url,
        token_keys=TOKEN_KEY,
        cors_origins=f"{SHOP}, {ADMIN}",
        **UNLIMITED,
    )
    app: Litestar = build(settings)
    async with served(app) as client:
        yield client


def cross(answer: httpx.Response) -> list[str]:
    return [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("origin", [SHOP, ADMIN])
@pytest.mark.parametrize("path", PATHS)
async def test_a_site_on_the_list_reads_answers_and_errors(
    client: httpx.AsyncClient, origin: str, path: str
) -> None:
    answer = await client.get(path, headers={"Origin": origin})

    assert answer.headers.get_list("access-control-allow-origin") == [origin]
    assert answer.headers.get_list("vary").count("Origin") == 1
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"Idempotent-Replayed", claim.HEADER} <= set(exposed)
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
@pytest.mark.parametrize("origin", FOREIGN)
async def test_no_other_site_does(client: httpx.AsyncClient, origin: str, method: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "PUT"}

    for path in PATHS:
        answer = await client.request(method, path, headers=asked)
        assert cross(answer) == []
        assert answer.headers.get_list("vary").count("Origin") == 1


async def test_two_origins_are_none(client: httpx.AsyncClient) -> None:
    answer = await client.get("/nowhere", headers=[("Origin", SHOP), ("Origin", SHOP)])

    assert cross(answer) == []


async def test_answers_without_an_origin_are_not_kept_for_those_with_one(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/v1/variants/APPLE")

    assert cross(answer) == []
    assert "Origin" in answer.headers.get_list("vary")


@pytest.mark.parametrize("path", ["/v1/orders", "/v1/variants/APPLE", "/nowhere"])
async def test_a_site_on_the_list_may_ask_first(client: httpx.AsyncClient, path: str) -> None:
    asked = {
        "Origin": SHOP,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "idempotency-key, authorization",
    }

    answer = await client.options(path, headers=asked)

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert "PUT" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"idempotency-key", "authorization", "if-match", "content-type"} <= set(allowed)
    assert answer.headers["x-request-id"]


async def test_options_that_are_no_preflight_are_answered_as_ever(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.options("/v1/variants/APPLE", headers={"Origin": SHOP})

    assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PUT"
    assert answer.headers["access-control-allow-origin"] == SHOP


async def test_without_a_list_nobody_is_told_anything(
    database_url: str, redis_url: str, shop_database: Database
) -> None:
    del shop_database
    settings = Settings(database_url=database_url, redis_url=redis_url, **UNLIMITED)
    async with served(build(settings)) as client:
        answer = await client.get("/nowhere", headers={"Origin": SHOP})

    assert cross(answer) == []
    assert "vary" not in answer.headers


@pytest.mark.parametrize(
    "wrong",
    ["*", "null", "https://*.shop.example", "shop.example", "https://shop.example/", "ftp://a.b",
     "https://Shop.example", "https://shop.example https://b.example", "https://a.b:123456"],
)  # fmt: skip
async def test_a_list_that_means_more_than_it_says_is_refused(wrong: str) -> None:
    async def nobody(*_: object) -> None: ...

    with pytest.raises(SettingInvalid, match=r"^CORS_ORIGINS: "):
        Cors(nobody, f"https://good.example,{wrong}")
