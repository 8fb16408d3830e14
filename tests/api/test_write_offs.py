"""Money of cancelled orders that the gateway refuses to give back, and how a person ends it."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from db import audit, ledger
from db.audit import Filter
from db.engine import Database, transaction
from db.ids import new_id
from domain.payment import Declined
from ops.config import Settings
from tests.api.paid import TOTAL, Pay, ask, money
from tests.api.routes import STAFF
from tests.bank import Bank
from tests.records import assert_sound, cash, sent_long_ago, timeline
from tests.stages import settle_payments
from tests.web import assert_problem
from tests.workers.paid import confirmed, reconcile, schedule, still_open


@pytest.fixture
async def refused(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank, pay: Pay
) -> str:
    """A cancelled order whose refund the bank refused."""
    location = await pay()
    bank.answers.append(Declined("charge_disputed"))
    await client.post(f"{location}/cancel", headers=STAFF)
    await settle_payments(database, settings, bank)
    return location


async def write_off(
    client: httpx.AsyncClient,
    location: str,
    minor: int = TOTAL,
    means: str = "bank_transfer",
    *,
    key: str | None = None,
) -> httpx.Response:
    body = {"amount_minor": minor, "means": means, "note": "Sent on Friday."}
    return await ask(client, f"{location}/write-off", body, key=key)


async def explained(client: httpx.AsyncClient, location: str) -> dict[str, Any]:
    return (await client.get(f"{location}/explain", headers=STAFF)).json()


async def dead(client: httpx.AsyncClient) -> list[int]:
    return [one["id"] for one in (await client.get("/v1/tasks", headers=STAFF)).json()["tasks"]]


async def assert_reconciled(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    """Check that the bank's books, compared with ours, leave nothing to be found."""
    await sent_long_ago(database, order_id)
    await schedule(database)
    await reconcile(database, settings, bank)
    assert await confirmed(database) == 1
    assert await still_open(database) == []


@pytest.mark.parametrize("means", ["bank_transfer", "dispute"])
async def test_money_that_went_back_otherwise_leaves_the_order_at_rest(  # noqa: PLR0913, PLR0917 - parts
    client: httpx.AsyncClient,
    database: Database,
    settings: Settings,
    bank: Bank,
    refused: str,
    means: str,
) -> None:
    order_id = UUID(refused.rpartition("/")[2])
    before = await explained(client, refused)

    answer = await write_off(client, refused, means=means)

    assert f"POST {refused}/write-off" in before["sentence"]
    assert answer.status_code == 202, answer.text
    assert (answer.json()["gateway"], answer.json()["state"]) == ("by-hand", "succeeded")
    assert await money(client, refused) == (TOTAL, TOTAL, TOTAL, 0, 0)
    assert await dead(client) == []
    assert (await explained(client, refused))["code"] != before["code"] == "dead_task"
    assert (await timeline(database, order_id))[-1] == "payment_written_off"
    async with transaction(database) as tx:
        sums = await ledger.sums(tx, order_id)
        [entry] = await audit.page(tx, Filter(action="order.write_off"), before=None, limit=10)
    assert sums["settled_elsewhere"] == -TOTAL
    assert sums["receivable"] + sums["refunds"] == 0
    assert entry.after == {"amount_minor": TOTAL, "means": means, "note": "Sent on Friday."}
    await assert_sound(database)
    await assert_reconciled(database, settings, bank, order_id)


async def test_what_was_refunded_by_hand_at_the_gateway_is_written_off_and_the_rest_replayed(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank, pay: Pay
) -> None:
    location = await pay()
    order_id = UUID(location.rpartition("/")[2])
    bank.refund_by_hand(order_id, 300)
    await client.post(f"{location}/cancel", headers=STAFF)
    await settle_payments(database, settings, bank)
    [task] = await dead(client)

    part = await write_off(client, location, 300, "gateway")
    still = await dead(client)
    await client.post(f"/v1/tasks/{task}/replay", headers=STAFF)
    await settle_payments(database, settings, bank)

    assert (part.status_code, still) == (202, [task])
    assert await money(client, location) == (TOTAL, TOTAL, TOTAL, 0, 0)
    assert sum(await cash(database, order_id)) == sum(bank.takings(order_id)) == 0
    assert await dead(client) == []
    await assert_sound(database)
    await assert_reconciled(database, settings, bank, order_id)


async def test_no_more_is_written_off_than_is_left_however_often_it_is_asked(
    client: httpx.AsyncClient, database: Database, refused: str
) -> None:
    key = str(new_id())
    first = await write_off(client, refused, TOTAL - 1, key=key)

    again = await write_off(client, refused, TOTAL - 1, key=key)
    above = await write_off(client, refused, 2)
    rest = await write_off(client, refused, 1)
    more = await write_off(client, refused, 1)

    assert (first.status_code, again.json(), rest.status_code) == (202, first.json(), 202)
    assert_problem(above, 422, "amount_not_available", "amount_minor")
    assert_problem(more, 422, "amount_not_available", "amount_minor")
    assert await money(client, refused) == (TOTAL, TOTAL, TOTAL, 0, 0)
    await assert_sound(database)


async def test_money_that_is_ours_or_on_its_way_back_is_not_written_off(
    client: httpx.AsyncClient, database: Database, pay: Pay
) -> None:
    location = await pay()
    paid = await write_off(client, location)
    await client.post(f"{location}/cancel", headers=STAFF)
    under_way = await write_off(client, location)

    assert_problem(paid, 409, "illegal_move")
    assert_problem(under_way, 409, "payment_in_progress")
    assert await money(client, location) == (TOTAL, TOTAL, 0, 0, TOTAL)
    await assert_sound(database)


async def test_discarded_refund_says_what_ends_it(client: httpx.AsyncClient, refused: str) -> None:
    [task] = await dead(client)
    await client.post(f"/v1/tasks/{task}/discard", json={"note": "Disputed."}, headers=STAFF)

    told = await explained(client, refused)

    assert (told["code"], told["action"]) == ("nothing_under_way", f"POST {refused}/write-off")
    assert (await write_off(client, refused)).status_code == 202
