from uuid import UUID

import httpx

from db.engine import Database
from db.ids import new_id
from ops.config import Settings
from tests.api.paid import TOTAL, Pay, ask
from tests.api.routes import STAFF
from tests.bank import Bank
from tests.stages import settle_payments
from tests.web import assert_problem


async def test_the_ledger_of_an_order_tells_of_all_its_money_oldest_first(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank, pay: Pay
) -> None:
    bank.fee_minor = 29
    location = await pay()
    bank.fee_minor = 0
    await ask(client, f"{location}/refunds", {"reason": "duplicate", "amount_minor": 400})
    await settle_payments(database, settings, bank)
    order_id = location.rpartition("/")[2]

    read = await client.get("/v1/ledger", params={"order": order_id}, headers=STAFF)

    ledger = read.json()
    assert (ledger["order_id"], ledger["currency"]) == (order_id, "GBP")
    assert ledger["sums"] == {
        "fees": 29,
        "gateway_cash": TOTAL - 29 - 400,
        "receivable": -TOTAL,
        "refunds": 400,
    }
    assert [(e["account"], e["amount_minor"]) for e in ledger["entries"]] == [
        ("fees", 29),
        ("gateway_cash", TOTAL - 29),
        ("receivable", -TOTAL),
        ("gateway_cash", -400),
        ("refunds", 400),
    ]
    attempts = (await client.get(f"{location}/payments")).json()["attempts"]
    transactions = [UUID(e["transaction_id"]) for e in ledger["entries"]]
    assert list(dict.fromkeys(transactions)) == [UUID(attempt["id"]) for attempt in attempts]


async def test_the_ledger_is_read_by_order(client: httpx.AsyncClient) -> None:
    unnamed = await client.get("/v1/ledger", headers=STAFF)
    ill_named = await client.get("/v1/ledger?order=1", headers=STAFF)
    unknown = await client.get(f"/v1/ledger?order={new_id()}", headers=STAFF)

    assert (unnamed.status_code, unnamed.json()["code"]) == (400, "invalid_request")
    assert_problem(ill_named, 400, "invalid_request", "order")
    assert_problem(unknown, 404, "not_found")
