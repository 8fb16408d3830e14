"""Refunds by support: up to a limit, for all that goes back of one order together."""

import httpx
import pytest
from litestar import Litestar

from db.engine import Database
from db.ids import new_id
from domain.principal import Role, Scope
from ops.config import Settings
from tests.api.paid import Pay
from tests.api.people import a_key, a_person
from tests.bank import Bank
from tests.stages import settle_payments
from tests.web import assert_problem, rows

# Of 500 each: twice what support may give back.
LINES = [{"sku": "APPLE", "quantity": 40}]


async def refund(
    client: httpx.AsyncClient, location: str, headers: dict[str, str], minor: int | None = None
) -> httpx.Response:
    given = {**headers, "Idempotency-Key": str(new_id())}
    body = {"reason": "duplicate"} | ({} if minor is None else {"amount_minor": minor})
    return await client.post(f"{location}/refunds", json=body, headers=given)


async def test_support_gives_back_up_to_the_limit_all_refunds_of_an_order_together(  # noqa: PLR0913, PLR0917 - parts
    client: httpx.AsyncClient,
    app: Litestar,
    database: Database,
    settings: Settings,
    bank: Bank,
    pay: Pay,
) -> None:
    limit = settings.support_refund_max_minor
    support = (await a_person(app, Role.SUPPORT)).headers
    location = await pay(lines=LINES)

    first = await refund(client, location, support, limit - 100)
    while_it_is_asked_for = await refund(client, location, support, 101)
    await settle_payments(database, settings, bank)
    once_it_went_back = await refund(client, location, support, 101)
    last = await refund(client, location, support, 100)
    on_top = await refund(client, location, support, 1)

    assert [first.status_code, last.status_code] == [202, 202]
    for refused in (while_it_is_asked_for, once_it_went_back, on_top):
        assert_problem(refused, 403, "refund_above_limit", "amount_minor")
    offered = (await client.get(location, headers=support)).json()["links"]
    assert "refunds" not in offered


@pytest.mark.parametrize("by_key", [False, True])
async def test_what_is_above_the_limit_changes_nothing_and_is_for_ops(
    client: httpx.AsyncClient, app: Litestar, database: Database, pay: Pay, *, by_key: bool
) -> None:
    person = await a_person(app, Role.SUPPORT)
    key = await a_key(app, person.id, Scope.PAYMENTS_WRITE)
    ops = await a_person(app, Role.OPS)
    location = await pay(lines=LINES)
    before = await rows(database)

    refused = await refund(client, location, key if by_key else person.headers)

    assert_problem(refused, 403, "refund_above_limit", "amount_minor")
    assert await rows(database) == before
    assert (await refund(client, location, ops.headers)).status_code == 202


async def test_support_gives_back_no_more_by_cancelling_an_order(
    client: httpx.AsyncClient, app: Litestar, database: Database, pay: Pay
) -> None:
    support = (await a_person(app, Role.SUPPORT)).headers
    dear, cheap = await pay(lines=LINES), await pay()
    before = await rows(database)

    refused = await client.post(f"{dear}/cancel", headers=support)

    assert_problem(refused, 403, "refund_above_limit")
    assert await rows(database) == before
    assert "cancel" not in (await client.get(dear, headers=support)).json()["links"]
    assert (await client.post(f"{cheap}/cancel", headers=support)).status_code == 200
    assert (await client.post(f"{dear}/cancel")).status_code == 200
    # Again is the same, for whoever asks.
    assert (await client.post(f"{dear}/cancel", headers=support)).status_code == 200
