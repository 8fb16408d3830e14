"""All that one person does with what is theirs, done again by others: as if it were not there."""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar

from api import pages
from api.carts import TOKEN_HEADER
from api.policy import POLICIES
from db.engine import Database
from db.ids import new_id
from domain import claim
from domain.principal import Role, Scope
from domain.secret import keys
from tests.api.people import Person, a_key, a_person, change
from tests.api.routes import PARAMETERS, WRITES
from tests.staff import SECRET_KEY
from tests.timing import apart
from tests.web import NOBODY, asking, bearer, contents, post_order

pytestmark = pytest.mark.asyncio(loop_scope="module")

CANARY = "Wilhelmina Canary"
EMAIL = "wilhelmina@canary.example"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
IDS = ("order_id", "key_id", "session_id", "cart_id")
# Staff that has keys and sessions of its own, too.
OPS = "staff"
PATHS = sorted(
    {
        path
        for path in (operation.partition(" ")[2] for operation in POLICIES)
        if any(f"{{{name}}}" in path for name in IDS)
    }
)
# One more statement for what is there would take longer than that.
APART_MAX = 0.25


class Owner(NamedTuple):
    """Somebody, and the names of their order, their key, their session and their cart."""

    person: Person
    ids: Mapping[str, str]


class Scene(NamedTuple):
    """What somebody has, and those who want it."""

    client: httpx.AsyncClient
    ann: Owner
    intruders: Mapping[str, Mapping[str, str]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(shop: httpx.AsyncClient, shop_app: Litestar) -> AsyncGenerator[Scene]:
    del shop
    async with asking(shop_app) as client:
        ann = await an_owner(shop_app, client)
        bob, ops = [await a_person(shop_app, role) for role in (Role.CUSTOMER, Role.OPS)]
        guest = await an_order(client, email="guest@example.com")
        intruders = {
            "customer": bob.headers,
            "key of a customer": await a_key(shop_app, bob.id, *Scope),
            "guest of another order": bearer(guest.headers[claim.HEADER]),
            "guest with another cart": {TOKEN_HEADER: (await a_cart(client)).headers[TOKEN_HEADER]},
            OPS: ops.headers,
        }
        # Or the first use of a key would be written down in between.
        await change(shop_app, "UPDATE api_keys SET last_used_at = now()", {})
        yield Scene(client, ann, intruders)


async def an_owner(app: Litestar, client: httpx.AsyncClient) -> Owner:
    person = await a_person(app)
    order = await an_order(client, person.headers)
    key = {"name": CANARY, "scopes": ["orders:read"]}
    made = await client.post("/v1/api-keys", json=key, headers=person.headers)
    cart = (await a_cart(client, person.headers)).json()["id"]
    ids = (order.json()["id"], made.json()["about"]["id"], str(person.session_id), cart)
    return Owner(person, dict(zip(IDS, ids, strict=True)))


async def a_cart(client: httpx.AsyncClient, headers: Mapping[str, str] = NOBODY) -> httpx.Response:
    opened = await client.post("/v1/carts", json={"currency": "GBP"}, headers=headers)
    assert opened.status_code == 201, opened.text
    return opened


async def an_order(
    client: httpx.AsyncClient, headers: Mapping[str, str] = NOBODY, email: str = EMAIL
) -> httpx.Response:
    to = {"name": CANARY, "line1": "1", "city": "X", "postcode": "1", "country": "GB"}
    placed = await post_order(client, ("APPLE", 1), headers=headers, email=email, ship_to=to)
    assert placed.status_code == 202, placed.text
    return placed


async def ask(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    headers: Mapping[str, str],
    ids: Mapping[str, str],
) -> httpx.Response:
    """Ask with the valid body of the operation; a claim has the right token."""
    template = f"{method} {path}"
    valid = {f"{write.method} {write.path}": write.body for write in WRITES.values()}
    body: dict[str, Any] | None = valid.get(template.format_map(PARAMETERS))
    if path.endswith("/claim"):
        secret = keys(SECRET_KEY)[0]
        body = {"claim_token": claim.write(UUID(ids["order_id"]), secret)}
    given = {"Idempotency-Key": str(new_id()), "Content-Type": "application/json", **headers}
    content = b"" if body is None else json.dumps(body).encode()
    at = path.format_map(PARAMETERS | dict(ids))
    return await client.request(method, at, content=content, headers=given)


def told(answer: httpx.Response, ids: Mapping[str, str]) -> tuple[int, str, dict[str, str]]:
    """Give all that an answer says, but its own name and those that were asked for."""

    def unnamed(said: str) -> str:
        for name, value in ids.items():
            said = said.replace(value, name)
        return said

    headers = {n: unnamed(v) for n, v in answer.headers.items() if n != "x-request-id"}
    return answer.status_code, unnamed(answer.text), headers


def tried(intruder: str) -> Iterator[tuple[str, str]]:
    """Name what is asked of whom; staff see the orders of everybody, on their pages, too."""
    for path in PATHS:
        for method in METHODS:
            policy = POLICIES.get(f"{method} {path}")
            of_all = policy is not None and (policy.scope or path.startswith("/ops/"))
            if intruder != OPS or not of_all:
                yield method, path


async def test_what_is_somebodys_is_for_others_as_if_it_were_not_there(
    scene: Scene, shop_database: Database
) -> None:
    before = await contents(shop_database)
    met = set[int]()

    for name, headers in scene.intruders.items():
        for method, path in tried(name):
            nowhere = {each: str(new_id()) for each in IDS}
            there = await ask(scene.client, method, path, headers, scene.ann.ids)
            none = await ask(scene.client, method, path, headers, nowhere)
            assert told(there, scene.ann.ids) == told(none, nowhere), (name, method, path)
            met.add(there.status_code)
            assert CANARY not in there.text
            assert EMAIL not in there.text

    assert met == {303, 401, 403, 404, 405}
    assert await contents(shop_database) == before


async def test_no_list_shows_what_is_somebodys(scene: Scene) -> None:
    bob = scene.intruders["customer"]
    order = pages.encode(UUID(scene.ann.ids["order_id"]))

    for path, hers, nobodys in (
        ("/v1/orders?email={}", EMAIL, "nobody@example.com"),
        ("/v1/orders?cursor={}", order, pages.encode(new_id())),
        ("/v1/api-keys?user={}", str(scene.ann.person.id), str(new_id())),
    ):
        there, none = [await scene.client.get(path.format(x), headers=bob) for x in (hers, nobodys)]
        assert (there.status_code, there.text) == (none.status_code, none.text)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/orders/{order_id}"),
        ("POST", "/v1/orders/{order_id}/claim"),
        ("DELETE", "/v1/api-keys/{key_id}"),
        ("DELETE", "/v1/sessions/{session_id}"),
    ],
)
async def test_refusal_takes_as_long_whether_it_is_there_or_not(
    scene: Scene, method: str, path: str
) -> None:
    bob = scene.intruders["customer"]

    async def refused(ids: Mapping[str, str]) -> None:
        assert (await ask(scene.client, method, path, bob, ids)).status_code == 404

    measured = await apart(
        lambda: refused(scene.ann.ids),
        lambda: refused({each: str(new_id()) for each in IDS}),
        samples=30,
        within=APART_MAX,
    )

    assert measured <= APART_MAX


async def test_the_same_is_there_for_whose_it_is(scene: Scene, shop_app: Litestar) -> None:
    # What others were refused was no mere mistake of the asker.
    owner = await an_owner(shop_app, scene.client)

    for path in sorted(PATHS, key=lambda path: "session" in path):
        for method in METHODS:
            policy = POLICIES.get(f"{method} {path}")
            if policy is not None and Role.CUSTOMER in policy.roles and not policy.any_order:
                answer = await ask(scene.client, method, path, owner.person.headers, owner.ids)
                # Nothing is in the cart, for one.
                met = answer.is_success or answer.status_code in {409, 422}
                assert met, (method, path, answer.text)
