"""The table of policies, asked of the application: every operation, by everybody there is."""

import itertools
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping
from html import unescape

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar
from litestar.exceptions import ImproperlyConfiguredException

from api.policy import POLICIES, operations, refuse_unruled
from domain import claim
from domain.principal import Policy, Role, Scope
from tests.api.people import a_key, a_person, change
from tests.api.routes import ORDER, PARAMETERS
from tests.web import NOBODY, asking, bearer, post_order

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNKNOWN = {"Authorization": "Bearer of_live_what"}
NOT_ALLOWED = "Your role, or the scopes of your key, do not allow this."
HOUR_S = 3600
_numbers = itertools.count()


@pytest_asyncio.fixture(loop_scope="module")
async def everybody(
    shop: httpx.AsyncClient, shop_app: Litestar
) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of the application without a credential of its own."""
    del shop
    async with asking(shop_app) as client:
        yield client


async def outcome(
    client: httpx.AsyncClient, operation: str, headers: Mapping[str, str], order_id: str = ORDER
) -> str:
    """Say how the door answers: let in, unknown, not allowed, or as if there were no order."""
    method, _, template = operation.partition(" ")
    path = template.format_map(defaultdict(lambda: ORDER, {**PARAMETERS, "order_id": order_id}))
    answer = await client.request(method, path, headers=headers)
    if answer.headers.get("content-type", "").startswith(("text/html", "text/event-stream")):
        return "not allowed" if NOT_ALLOWED in unescape(answer.text) else "let in"
    if answer.headers.get("location", "").startswith("/ops/login?"):
        return "unknown"
    problem = answer.json() if answer.status_code in {401, 403, 404} else {}
    if problem.get("code") == "unauthenticated":
        return "unknown"
    if problem.get("detail") == NOT_ALLOWED:
        return "not allowed"
    if "order_id" in template and problem.get("detail") == f"There is no order {order_id}.":
        return "no order"
    return "let in"


async def an_order(
    client: httpx.AsyncClient, headers: Mapping[str, str] = NOBODY
) -> httpx.Response:
    """Place an order, each of a customer of its own, who has few that are not paid."""
    email = f"customer-{next(_numbers)}@example.com"
    placed = await post_order(client, ("APPLE", 1), headers=headers, email=email)
    assert placed.status_code == 202, placed.text
    return placed


def id_of(placed: httpx.Response) -> str:
    return placed.headers["location"].rpartition("/")[2]


def expected(policy: Policy, *, allowed: bool, other: str = "not allowed") -> str:
    return "let in" if policy.public or allowed else other


@pytest.mark.parametrize("operation", POLICIES)
async def test_roles_may_what_the_table_says(
    everybody: httpx.AsyncClient, shop_app: Litestar, operation: str
) -> None:
    policy = POLICIES[operation]

    for role in Role:
        person = await a_person(shop_app, role)
        placed = await an_order(everybody, person.headers)
        own = id_of(placed)
        found = await outcome(everybody, operation, person.headers, own)
        assert found == expected(policy, allowed=role in policy.roles), role


@pytest.mark.parametrize("operation", POLICIES)
async def test_keys_may_what_role_and_scope_say(
    everybody: httpx.AsyncClient, shop_app: Litestar, operation: str
) -> None:
    policy = POLICIES[operation]
    scope = policy.scope or Scope.ORDERS_READ
    others = [other for other in Scope if other is not scope]

    for role in Role:
        owner = await a_person(shop_app, role)
        placed = await an_order(everybody, owner.headers)
        own = id_of(placed)
        with_it = await a_key(shop_app, owner.id, scope)
        without = await a_key(shop_app, owner.id, *others)
        allowed = role in policy.roles and policy.scope is not None
        assert await outcome(everybody, operation, with_it, own) == expected(
            policy, allowed=allowed
        ), role
        assert await outcome(everybody, operation, without, own) == expected(policy, allowed=False)


@pytest.mark.parametrize("operation", POLICIES)
async def test_guests_and_strangers_may_what_the_table_says(
    everybody: httpx.AsyncClient, operation: str
) -> None:
    policy = POLICIES[operation]
    placed = await an_order(everybody)
    own = id_of(placed)
    guest = bearer(placed.headers[claim.HEADER])

    assert await outcome(everybody, operation, {}, own) == expected(
        policy, allowed=policy.anonymous, other="unknown"
    )
    assert await outcome(everybody, operation, guest, own) == expected(policy, allowed=policy.guest)


@pytest.mark.parametrize("operation", POLICIES)
async def test_who_is_not_who_one_was_is_nobody(
    everybody: httpx.AsyncClient, shop_app: Litestar, operation: str
) -> None:
    disabled = await a_person(shop_app, Role.ADMIN)
    disable = "UPDATE users SET disabled_at = now() WHERE id = %(id)s"
    await change(shop_app, disable, {"id": disabled.id})
    expired = await a_person(shop_app, Role.ADMIN, issued_s_ago=HOUR_S + 1)
    owner = await a_person(shop_app, Role.ADMIN)
    revoked = await a_key(shop_app, owner.id, *Scope)
    revoke = "UPDATE api_keys SET revoked_at = now() WHERE user_id = %(id)s"
    await change(shop_app, revoke, {"id": owner.id})

    for headers in (disabled.headers, expired.headers, revoked, UNKNOWN):
        found = await outcome(everybody, operation, headers)
        assert found == expected(POLICIES[operation], allowed=False, other="unknown")


OF_ORDERS = [name for name in POLICIES if "{order_id}" in name]


@pytest.mark.parametrize("operation", OF_ORDERS)
async def test_orders_of_others_are_there_for_staff_alone(
    everybody: httpx.AsyncClient, shop_app: Litestar, operation: str
) -> None:
    policy = POLICIES[operation]
    if policy.any_order:
        return
    ann, bob = [await a_person(shop_app) for _ in range(2)]
    placed = await an_order(everybody, ann.headers)
    hers = id_of(placed)
    guest = bearer((await an_order(everybody)).headers[claim.HEADER])

    for headers, allowed in (
        (bob.headers, Role.CUSTOMER in policy.roles),
        (await a_key(shop_app, bob.id, *Scope), Role.CUSTOMER in policy.roles),
        (guest, policy.guest),
    ):
        other = "no order" if allowed else "not allowed"
        assert await outcome(everybody, operation, headers, hers) == other
        assert await outcome(everybody, operation, headers, ORDER) == other


async def test_customers_list_their_own_orders_and_staff_all(
    everybody: httpx.AsyncClient, shop_app: Litestar
) -> None:
    ann, bob = [await a_person(shop_app) for _ in range(2)]
    support = await a_person(shop_app, Role.SUPPORT)
    placed = [(await an_order(everybody, one.headers)).json()["id"] for one in (ann, bob)]

    async def listed(headers: Mapping[str, str]) -> set[str]:
        answer = await everybody.get("/v1/orders?limit=200", headers=headers)
        return {order["id"] for order in answer.json()["orders"]}

    assert await listed(ann.headers) == {placed[0]}
    assert await listed(bob.headers) == {placed[1]}
    assert set(placed) <= await listed(support.headers)


async def test_every_operation_has_a_row_or_nothing_starts(shop_app: Litestar) -> None:
    assert operations(shop_app).keys() == POLICIES.keys()
    whole = shop_app.state.policies
    shop_app.state.policies = {k: v for k, v in whole.items() if k != "GET /v1/orders"}

    with pytest.raises(ImproperlyConfiguredException, match="GET /v1/orders"):
        refuse_unruled(shop_app)

    shop_app.state.policies = whole
