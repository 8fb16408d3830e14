"""One's own account: read, renamed, exported, and erased without a trace of the person."""

import asyncio
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from db import erasure, invariants, reviews
from db.engine import Database, transaction
from domain import claim
from ops.config import Settings
from tests.builders import put_catalogue_product, put_products
from tests.people import (
    OTHER_PASSWORD,
    PASSWORD,
    Tokens,
    code_of,
    is_let_in,
    log_in,
    logged_in,
    mails,
    readable,
    rows_of,
    someone,
)
from tests.records import be_patient
from tests.waiting import eventually
from tests.web import assert_problem, post_order

ME = "/v1/users/me"


@pytest.fixture
async def ann(stranger: httpx.AsyncClient, database: Database) -> Tokens:
    await someone(database)
    return await logged_in(stranger)


async def test_name_is_changed_and_taken_away(stranger: httpx.AsyncClient, ann: Tokens) -> None:
    named = await stranger.patch(ME, json={"name": "Ann Example"}, headers=ann.headers)
    bare = await stranger.patch(ME, json={"name": None}, headers=ann.headers)

    assert (named.status_code, named.json()["name"], named.headers["etag"]) == (
        200,
        "Ann Example",
        '"2"',
    )
    assert (bare.json()["name"], bare.headers["etag"]) == (None, '"3"')


async def test_change_of_what_was_changed_meanwhile_is_refused(
    stranger: httpx.AsyncClient, ann: Tokens
) -> None:
    first = {"If-Match": '"1"', **ann.headers}

    one = await stranger.patch(ME, json={"name": "Ann"}, headers=first)
    other = await stranger.patch(ME, json={"name": "Bob"}, headers=first)
    same = await stranger.get(ME, headers={"If-None-Match": '"2"', **ann.headers})

    assert one.status_code == 200
    assert_problem(other, 412, "precondition_failed")
    assert same.status_code == 304


@pytest.mark.parametrize(
    "field", ["role", "tier", "email", "id", "version", "disabled", "mfa_enabled", "deleted"]
)
async def test_nobody_changes_more_than_their_name(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens, field: str
) -> None:
    before = await rows_of(database, "SELECT u::text FROM users u")

    refused = await stranger.patch(ME, json={"name": "Ann", field: "admin"}, headers=ann.headers)

    assert_problem(refused, 400, "invalid_request", field)
    assert await rows_of(database, "SELECT u::text FROM users u") == before


async def test_change_of_the_password_takes_the_old_one(
    stranger: httpx.AsyncClient, ann: Tokens
) -> None:
    body = {"password": "something else again", "new_password": OTHER_PASSWORD}

    refused = await stranger.put(f"{ME}/password", json=body, headers=ann.headers)
    poor = await stranger.put(
        f"{ME}/password",
        json={"password": PASSWORD, "new_password": "password"},
        headers=ann.headers,
    )

    assert_problem(refused, 401, "login_refused", "password")
    assert_problem(poor, 422, "password_refused", "new_password")
    assert await is_let_in(stranger, ann)


async def placed(stranger: httpx.AsyncClient, database: Database, who: Tokens) -> str:
    """Place an order of somebody."""
    await put_products(database, APPLE=10)
    stranger.headers.update(who.headers)
    answer = await post_order(stranger, ("APPLE", 1), email="ann@example.com")
    stranger.headers.pop("Authorization")
    assert answer.status_code in {201, 202}, answer.text
    return answer.json()["id"]


async def review(database: Database, order_id: UUID) -> None:
    """Have who placed an order write a review, and support publish it."""
    async with transaction(database) as tx:
        await put_catalogue_product(tx, "cup", "APPLE")
        written = await tx.scalar(
            text(
                "INSERT INTO reviews"
                " (id, product_id, user_id, order_id, stars, text, author, state)"
                " SELECT o.id, p.id, user_id, o.id, 4, 'Ann likes it', 'Ann', 'pending'"
                " FROM orders o, catalogue_products p WHERE o.id = :id RETURNING id"
            ),
            {"id": order_id},
        )
        await reviews.decide(tx, written, publish=True, reason=None, by=None)


async def redeem(database: Database) -> None:
    """Have the orders there are been given a discount."""
    ten = "discounts (id, slug, kind, value) SELECT id, 'ten', 'percentage', 1000"
    given = "discount_redemptions (order_id, discount_id, mailbox, amount_minor)"
    for made in (ten, f"{given} SELECT id, id, email, 1"):
        await rows_of(database, f"INSERT INTO {made} FROM orders RETURNING created_at")


async def test_export_has_all_that_is_known_and_nothing_secret(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens
) -> None:
    order_id = await placed(stranger, database, ann)
    await review(database, UUID(order_id))

    answer = await stranger.get(f"{ME}/export", headers=ann.headers)

    found = answer.json()
    assert answer.headers["content-disposition"].startswith('attachment; filename="orderflow-')
    assert found["account"]["email"] == "ann@example.com"
    assert [session["id"] for session in found["sessions"]] == [ann.session_id]
    assert [event["kind"] for event in found["security_events"]] == ["login"]
    assert [order["id"] for order in found["orders"]] == [order_id]
    assert [(one["product"], one["text"]) for one in found["reviews"]] == [("cup", "Ann likes it")]
    assert found["complete"] is True
    for secret in (ann.refresh_token, ann.access_token, "argon2", "hash"):
        assert secret not in answer.text


async def test_deleted_person_is_nowhere_and_their_orders_have_a_pseudonym(
    stranger: httpx.AsyncClient, database: Database, settings: Settings, ann: Tokens
) -> None:
    order_id = UUID(await placed(stranger, database, ann))
    await review(database, order_id)
    await redeem(database)
    await stranger.post(f"/v1/orders/{order_id}/cancel", headers=ann.headers)
    await stranger.post("/v1/password-resets", json={"email": "ann@example.com"})
    await mails(database, settings)
    [(user_id,)] = await rows_of(database, "SELECT id FROM users WHERE email LIKE 'ann@%'")

    body = {"password": PASSWORD}
    gone = await stranger.post(f"{ME}/delete", json=body, headers=ann.headers)

    assert gone.status_code == 204
    [mail] = await mails(database, settings)
    assert (mail.to, mail.subject) == ("ann@example.com", "Your account is deleted")
    order = await rows_of(database, "SELECT id, user_id, email, ship_to FROM orders")
    erased = dict.fromkeys(("name", "line1", "city", "postcode"), "erased")
    assert order == [(order_id, user_id, f"{user_id}@erased.invalid", erased | {"country": "GB"})]
    farewell = "DELETE FROM account_notices WHERE kind = 'account_deleted' RETURNING id"
    assert len(await rows_of(database, farewell)) == 1
    everything = await stored(database)
    assert "ann" not in everything.lower().replace("channel", "")
    assert "argon2" not in everything


async def test_deleted_person_breaks_no_invariant(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens
) -> None:
    order_id = await placed(stranger, database, ann)
    await review(database, UUID(order_id))
    await stranger.post(f"/v1/orders/{order_id}/cancel", headers=ann.headers)

    gone = await stranger.post(f"{ME}/delete", json={"password": PASSWORD}, headers=ann.headers)
    async with transaction(database) as tx:
        broken = await invariants.check(tx)

    assert gone.status_code == 204
    assert broken == []


async def stored(database: Database) -> str:
    """Read every row of every table."""
    texts: list[str] = []
    async with transaction(database) as tx:
        tables = await tx.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        )
        for (table,) in tables.all():
            rows = await tx.execute(text(f"SELECT t::text FROM {table} t"))  # noqa: S608 - ours
            texts.extend(readable(row) for (row,) in rows if table != "alembic_version")
    return "\n".join(texts)


async def test_nothing_is_left_of_registering_and_of_orders_placed_before(
    stranger: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    await put_products(database, APPLE=100)
    placed = await post_order(stranger, ("APPLE", 1), email="ann@example.com")
    new = {"email": "ann@example.com", "password": PASSWORD, "name": "Ann"}
    await stranger.post("/v1/registrations", json=new)
    [mail] = await mails(database, settings)
    body = {"code": code_of(mail), "password": PASSWORD}
    await stranger.post("/v1/registrations/confirm", json=body)
    ann = await logged_in(stranger)
    location, token = placed.headers["location"], placed.headers[claim.HEADER]
    claimed = {"claim_token": token}
    await stranger.post(f"{location}/claim", json=claimed, headers=ann.headers)
    await stranger.post(f"{location}/cancel", headers=ann.headers)
    assert "ann" in await stored(database)

    gone = await stranger.post(f"{ME}/delete", json={"password": PASSWORD}, headers=ann.headers)

    assert gone.status_code == 204
    await rows_of(database, "DELETE FROM account_notices WHERE user_id IS NULL RETURNING id")
    everything = await stored(database)
    assert "ann" not in everything.lower().replace("channel", "")


async def test_nothing_is_ordered_or_claimed_while_its_account_is_deleted(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens
) -> None:
    await put_products(database, APPLE=100)
    guests = await post_order(stranger, ("APPLE", 1), email="guest@example.com")
    token = {"claim_token": guests.headers[claim.HEADER]}
    claims = stranger.post(f"{guests.headers['location']}/claim", json=token, headers=ann.headers)
    orders = post_order(stranger, ("APPLE", 1), email="ann@example.com", headers=ann.headers)
    [(user_id,)] = await rows_of(database, "SELECT id FROM users WHERE email LIKE 'ann@%'")

    # Who asks is known by then, and nothing else of it is done.
    async with transaction(database) as tx:
        await be_patient(tx)
        await erasure.erase(tx, user_id)
        asking = [asyncio.create_task(request) for request in (claims, orders)]
        await eventually(partial(all_wait_or_are_answered, database, asking))
    claimed, ordered = await asyncio.gather(*asking)

    assert_problem(claimed, 404, "not_found")
    # A machine that takes half a second for the commit has the order come again.
    assert ordered.status_code in {404, 503}
    assert await rows_of(database, "SELECT email, user_id FROM orders") == [
        ("guest@example.com", None)
    ]
    assert "ann@" not in await stored(database)


async def all_wait_or_are_answered(
    database: Database, asking: list[asyncio.Task[httpx.Response]]
) -> bool:
    [(waiting,)] = await rows_of(
        database,
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    return waiting + sum(each.done() for each in asking) >= len(asking)


async def test_address_of_a_deleted_account_may_register_again(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens
) -> None:
    body = {"password": PASSWORD}
    assert (await stranger.post(f"{ME}/delete", json=body, headers=ann.headers)).status_code == 204
    assert (await log_in(stranger)).status_code == 401

    await someone(database)

    assert await is_let_in(stranger, await logged_in(stranger))


async def test_account_with_orders_under_way_is_not_deleted(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens
) -> None:
    await placed(stranger, database, ann)

    body = {"password": PASSWORD}
    refused = await stranger.post(f"{ME}/delete", json=body, headers=ann.headers)

    assert_problem(refused, 409, "orders_under_way")
    assert await is_let_in(stranger, ann)


@pytest.mark.parametrize("body", [{}, {"password": ""}, {"password": 1}])
async def test_deleting_takes_the_password(
    stranger: httpx.AsyncClient, ann: Tokens, body: dict[str, Any]
) -> None:
    refused = await stranger.post(f"{ME}/delete", json=body, headers=ann.headers)

    assert_problem(refused, 400, "invalid_request", "password")
    wrong = await stranger.post(f"{ME}/delete", json={"password": "x" * 15}, headers=ann.headers)
    assert_problem(wrong, 401, "login_refused", "password")
