"""What strangers meet: a closed door, and orders of others that are as if they were not there."""

from collections import defaultdict

import httpx
import pytest
from litestar import Litestar

from api.policy import POLICIES
from db.engine import Database
from db.ids import new_id
from tests.api.paid import Pay
from tests.api.routes import ORDER, PARAMETERS
from tests.web import asking, assert_problem, rows

CLOSED = [
    operation
    for operation, policy in POLICIES.items()
    if not policy.public and not policy.anonymous
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("operation", CLOSED)
async def test_who_shows_no_credential_is_kept_out_and_changes_nothing(
    shop: httpx.AsyncClient, shop_app: Litestar, shop_database: Database, operation: str
) -> None:
    del shop
    method, _, template = operation.partition(" ")
    path = template.format_map(defaultdict(lambda: ORDER, PARAMETERS))
    before = await rows(shop_database)

    async with asking(shop_app) as stranger:
        answer = await stranger.request(method, path)

    if answer.status_code == 303:  # a page, to be looked at by a person
        assert path.partition("/ops")[0] == ""
        assert answer.headers["location"].startswith("/ops/login?")
    else:
        assert_problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert await rows(shop_database) == before


async def test_order_of_somebody_else_is_as_if_it_were_not_there(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, pay: Pay
) -> None:
    mine, theirs = await pay(by=stranger), await pay()
    nowhere = f"/v1/orders/{new_id()}"

    for verb, of in (("GET", ""), ("GET", "/events"), ("GET", "/payments"), ("POST", "/cancel")):
        there, none = [await stranger.request(verb, at + of) for at in (theirs, nowhere)]
        assert_problem(there, 404, "not_found")
        assert (
            there.text.replace(theirs.rpartition("/")[2], nowhere.rpartition("/")[2]) == none.text
        )

    assert (await stranger.get(mine)).status_code == 200
    assert (await client.get(theirs)).json()["status"] == "paid"
