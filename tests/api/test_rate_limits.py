"""Attacks by number: floods, guesses by account and by address, and a Redis that is away."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar, Request, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from api import credentials
from api.application import build
from api.edge import Edge
from api.errors import EXCEPTION_HANDLERS
from api.limits import Limits
from api.proxies import Proxies
from db.ids import new_id
from domain.limit import Action
from domain.principal import ANONYMOUS, Principal, PrincipalKind, Tier
from ops.config import Settings
from tests.staff import ADMIN_API_KEY
from tests.web import NOBODY, asking, assert_problem, bearer, served

ANONYMOUS_MAX = 5


@pytest.fixture
def settings(settings: Settings, valkey: "Redis") -> Settings:
    """The quotas are small, and nothing of them is spent yet."""
    del valkey
    return msgspec.structs.replace(
        settings,
        rate_anonymous=ANONYMOUS_MAX,
        rate_authenticated=7,
        rate_premium=9,
        rate_login=3,
        trusted_proxies="127.0.0.1/32",
    )


@pytest.fixture
async def client(app: Litestar) -> AsyncGenerator[httpx.AsyncClient]:
    """A client without a credential."""
    async with served(app, NOBODY) as client:
        yield client


def at(address: str) -> dict[str, str]:
    """Headers as the trusted proxy sends them."""
    return {"X-Forwarded-For": address}


async def statuses(
    client: httpx.AsyncClient, times: int, path: str = "/nowhere", **headers: str
) -> list[int]:
    return [(await client.get(path, headers=headers)).status_code for _ in range(times)]


def looked_up() -> float:
    """Count the credentials that the database was asked for."""
    found = REGISTRY.get_sample_value("orderflow_group_size_sum", {"stage": "standing"})
    return found or 0.0


async def test_a_flood_gets_429s_that_say_when_to_come_back(client: httpx.AsyncClient) -> None:
    passed = await statuses(client, ANONYMOUS_MAX)

    answer = await client.get("/nowhere")

    assert passed == [404] * ANONYMOUS_MAX
    assert_problem(answer, 429, "quota_exceeded")
    assert answer.json()["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert answer.json()["violated-policies"] == ["default"]
    assert 11 <= int(answer.headers["retry-after"]) <= 12
    assert answer.headers["ratelimit-policy"] == '"default";q=5;w=60'
    assert re.fullmatch('"default";r=0;t=(59|60)', answer.headers["ratelimit"])
    assert answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nowhere"), ("DELETE", "/v1/orders"), ("GET", "/v1/variants/X")]
)
async def test_every_answer_says_what_is_left(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await client.request(method, path)

    assert answer.headers["ratelimit-policy"] == '"default";q=5;w=60'
    assert re.fullmatch('"default";r=4;t=1[12]', answer.headers["ratelimit"])


async def test_a_burst_of_requests_at_once_is_counted_exactly(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.get("/nowhere") for _ in range(50)))

    assert sorted(answer.status_code for answer in answers) == [404] * 5 + [429] * 45


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
async def test_probes_and_scrapes_are_not_counted(client: httpx.AsyncClient, path: str) -> None:
    await statuses(client, ANONYMOUS_MAX + 1)

    answer = await client.get(path)

    assert answer.status_code == 200
    assert "ratelimit" not in answer.headers


@pytest.mark.parametrize("path", ["/health/live/", "//health/live", "/HEALTH/live", "/metrics/x"])
async def test_no_spelling_of_a_path_gets_around_the_count(
    client: httpx.AsyncClient, path: str
) -> None:
    assert (await statuses(client, ANONYMOUS_MAX + 1, path))[-1] == 429


async def test_addresses_do_not_spend_of_each_other(client: httpx.AsyncClient) -> None:
    await statuses(client, ANONYMOUS_MAX, **at("198.51.100.7"))

    assert await statuses(client, 1, **at("198.51.100.7")) == [429]
    assert await statuses(client, 1, **at("198.51.100.8")) == [404]


async def test_all_of_a_customers_ipv6_network_spends_of_one_quota(
    client: httpx.AsyncClient,
) -> None:
    codes = [
        (await statuses(client, 1, **at(f"2001:db8:1:2:{n}::1")))[0]
        for n in range(ANONYMOUS_MAX + 1)
    ]

    assert codes == [404] * ANONYMOUS_MAX + [429]
    assert await statuses(client, 1, **at("2001:db8:1:3::1")) == [404]


@pytest.mark.parametrize("guess", ["Bearer guess", "Basic YTpi", "Bearer", ""])
async def test_a_wrong_credential_is_counted_by_address(
    client: httpx.AsyncClient, guess: str
) -> None:
    codes = await statuses(client, ANONYMOUS_MAX + 1, "/v1/orders", Authorization=guess)

    assert codes == [401] * ANONYMOUS_MAX + [429]


async def test_guesses_beyond_the_quota_of_an_address_are_not_looked_up(
    client: httpx.AsyncClient,
) -> None:
    before = looked_up()
    codes = [
        (await client.get("/v1/orders", headers=bearer(credentials.mint()))).status_code
        for _ in range(50)
    ]

    assert codes == [401] * ANONYMOUS_MAX + [429] * (50 - ANONYMOUS_MAX)
    assert looked_up() - before == ANONYMOUS_MAX + 1


async def test_who_shares_an_address_with_who_guesses_goes_on(client: httpx.AsyncClient) -> None:
    ours = bearer(ADMIN_API_KEY)
    await client.get("/v1/orders", headers=ours)
    await statuses(client, ANONYMOUS_MAX + 1, "/v1/orders", **bearer(credentials.mint()))

    answers = await asyncio.gather(*(client.get("/v1/orders", headers=ours) for _ in range(5)))

    assert [answer.status_code for answer in answers] == [200] * 5


async def test_our_own_programs_may_send_any_number(client: httpx.AsyncClient) -> None:
    ours = bearer(ADMIN_API_KEY)
    answer = [await client.get("/v1/orders", headers=ours) for _ in range(20)][-1]

    assert answer.status_code == 200
    assert "ratelimit" not in answer.headers


@pytest.mark.parametrize(
    ("tier", "quota"),
    [(Tier.ANONYMOUS, 5), (Tier.AUTHENTICATED, 7), (Tier.PREMIUM, 9), (Tier.MACHINE, None)],
)
async def test_each_tier_has_its_quota(settings: Settings, tier: Tier, quota: int | None) -> None:
    async with limits_of(settings) as limits:
        somebody = Principal(PrincipalKind.USER, user_id=new_id(), tier=tier)

        verdict = await limits.count(somebody, "198.51.100.7")

    assert (verdict and verdict.limit.quota) == quota


async def test_an_account_has_one_quota_wherever_it_asks_from(settings: Settings) -> None:
    ann = Principal(PrincipalKind.USER, user_id=new_id(), tier=Tier.AUTHENTICATED)
    async with limits_of(settings) as limits:
        for n in range(7):
            await limits.count(ann, f"198.51.100.{n}")

        verdict = await limits.count(ann, "198.51.100.99")
        of_others = await limits.count(ANONYMOUS, "198.51.100.1")

    assert verdict is not None
    assert not verdict.allowed
    assert of_others is not None
    assert of_others.allowed


async def test_a_guest_of_many_orders_has_the_quota_of_one_address(settings: Settings) -> None:
    async with limits_of(settings) as limits:
        verdicts = [
            await limits.count(Principal(PrincipalKind.GUEST, order_id=new_id()), "198.51.100.7")
            for _ in range(ANONYMOUS_MAX + 1)
        ]

    assert [v and v.allowed for v in verdicts] == [True] * ANONYMOUS_MAX + [False]


@asynccontextmanager
async def limits_of(settings: Settings) -> AsyncIterator[Limits]:
    limits = Limits(settings)
    yield limits
    await limits.close()


@post("/guess/{account:str}")
async def guess(
    request: Request[Any, Any, Any], limits: NamedDependency[Limits], account: FromPath[str]
) -> None:
    await limits.take(Action.LOGIN, account=account, request=request)


@pytest.fixture
async def guessing(settings: Settings) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of an application in which somebody logs in."""
    async with limits_of(settings) as limits:
        app = Litestar(
            [guess],
            dependencies={"limits": Provide(lambda: limits, sync_to_thread=False)},
            exception_handlers=EXCEPTION_HANDLERS,
            openapi_config=None,
        )
        app.asgi_handler = Edge(app.asgi_handler, proxies=Proxies(settings.trusted_proxies))
        async with asking(app) as client:
            yield client


async def test_guesses_at_an_account_end_from_wherever_they_come(
    guessing: httpx.AsyncClient,
) -> None:
    answers = [
        await guessing.post("/guess/ann@example.com", headers=at(f"198.51.100.{n}"))
        for n in range(4)
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
    assert answers[-1].json()["violated-policies"] == ["login-account"]
    assert answers[-1].headers["ratelimit-policy"] == '"login-account";q=3;w=3600'
    assert 1100 < int(answers[-1].headers["retry-after"]) <= 1200


async def test_guesses_from_an_address_end_at_whichever_account(
    guessing: httpx.AsyncClient,
) -> None:
    codes = [
        (await guessing.post(f"/guess/{n}", headers=at("198.51.100.7"))).status_code
        for n in range(16)
    ]

    assert codes == [201] * 15 + [429]
    assert (await guessing.post("/guess/0", headers=at("198.51.100.8"))).status_code == 201


async def test_the_account_of_a_guess_is_not_written_into_redis(
    guessing: httpx.AsyncClient, valkey: "Redis"
) -> None:
    await guessing.post("/guess/ann@example.com")

    keys = [key async for key in valkey.scan_iter()]
    assert len(keys) == 2
    assert not [key for key in keys if b"ann" in key]


async def test_while_redis_is_away_there_is_a_limit_all_the_same(settings: Settings) -> None:
    away = msgspec.structs.replace(settings, redis_url="redis://127.0.0.1:1/0")
    async with served(build(away), NOBODY) as client:
        codes = await statuses(client, ANONYMOUS_MAX + 1)

    assert codes == [404] * ANONYMOUS_MAX + [429]
