"""Orders placed without an account: opened by their claim token until an account has them."""

import httpx
import pytest
from litestar import Litestar

from db.engine import Database
from domain import claim
from tests.api.people import a_person
from tests.builders import put_products
from tests.web import assert_problem, bearer, post_order


@pytest.fixture(autouse=True)
async def catalogue(database: Database) -> None:
    await put_products(database, APPLE=100)


async def test_replay_of_a_placement_has_the_same_token_and_the_body_has_none(
    stranger: httpx.AsyncClient,
) -> None:
    first, again = [await post_order(stranger, ("APPLE", 1), key="k-1") for _ in range(2)]

    assert again.headers["idempotent-replayed"] == "true"
    assert first.content == again.content
    assert first.headers[claim.HEADER] == again.headers[claim.HEADER]
    assert first.headers[claim.HEADER] not in first.text


async def test_key_of_a_stranger_does_not_open_the_order_of_another(
    stranger: httpx.AsyncClient,
) -> None:
    mine = await post_order(stranger, ("APPLE", 1), key="k-1")

    theirs = await post_order(stranger, ("APPLE", 1), key="k-1", email="eve@example.com")

    assert_problem(theirs, 422, "idempotency_key_reused", "Idempotency-Key")
    assert mine.headers[claim.HEADER] not in str(theirs.headers)


async def test_placement_by_an_account_comes_without_a_token(client: httpx.AsyncClient) -> None:
    assert claim.HEADER not in (await post_order(client, ("APPLE", 1))).headers


async def test_claimed_order_is_the_accounts_and_its_token_opens_nothing_more(
    stranger: httpx.AsyncClient, app: Litestar
) -> None:
    ann, bob = await a_person(app), await a_person(app)
    placed = await post_order(stranger, ("APPLE", 1))
    path, token = placed.headers["location"], placed.headers[claim.HEADER]
    assert (await stranger.get(path, headers=bearer(token))).status_code == 200

    for _ in range(2):
        body = {"claim_token": token}
        claimed = await stranger.post(f"{path}/claim", json=body, headers=ann.headers)
        assert claimed.status_code == 200
    late = await stranger.post(f"{path}/claim", json={"claim_token": token}, headers=bob.headers)

    assert_problem(late, 404, "not_found")
    assert (await stranger.get(path, headers=ann.headers)).status_code == 200
    assert_problem(await stranger.get(path, headers=bearer(token)), 404, "not_found")
    assert_problem(await stranger.get(path, headers=bob.headers), 404, "not_found")


async def test_token_of_another_order_claims_nothing(
    stranger: httpx.AsyncClient, app: Litestar
) -> None:
    ann = await a_person(app)
    wanted, other = [await post_order(stranger, ("APPLE", 1)) for _ in range(2)]
    path = wanted.headers["location"]

    for token in (other.headers[claim.HEADER], "of_claim_x"):
        refused = await stranger.post(
            f"{path}/claim", json={"claim_token": token}, headers=ann.headers
        )
        assert_problem(refused, 404, "not_found")

    assert_problem(await stranger.get(path, headers=ann.headers), 404, "not_found")
