"""Refunds that succeeded and fail later at the customer's bank, of which the gateway tells."""

from uuid import UUID

import httpx
import msgspec
import pytest
from litestar import Litestar
from sqlalchemy import delete, select

from db import invariants, tables
from db.engine import Database, transaction
from domain.attempt import REFUNDS_FAILED_MAX
from domain.payment import Succeeded
from domain.task import Kind
from ops.config import Settings
from tests.api.paid import TOTAL, Pay, money
from tests.api.routes import STAFF, WEBHOOK
from tests.application import build_again
from tests.bank import Bank
from tests.records import assert_sound, attempts, cash, timeline
from tests.signed import SIGNING_KEY, signed
from tests.stages import drain_payments, settle_payments
from tests.workers.charges import refund
from tests.workers.paid import still_open


@pytest.fixture
async def app(settings: Settings, database: Database) -> Litestar:
    del database
    named = msgspec.structs.replace(
        settings,
        payment_gateways="bank=https://sk_1@bank.example",
        stripe_webhook_secrets=SIGNING_KEY,
    )
    return build_again(named)


async def tell(client: httpx.AsyncClient, database: Database, order_id: UUID, *kinds: str) -> None:
    """Have the bank say that the newest refund of an order has changed."""
    a = tables.payment_attempts.c
    query = select(a.gateway_ref).where(a.order_id == order_id, a.kind == "refund")
    async with transaction(database) as tx:
        ref = await tx.scalar(query.order_by(a.created_at.desc()).limit(1))
    for kind in kinds or ("refund.failed",):
        about = {"id": ref, "object": "refund", "status": "failed", "payment_intent": "pi_of_it"}
        event = {"id": f"evt_{kind}_{ref}", "type": kind, "created": 1, "data": {"object": about}}
        body = msgspec.json.encode(event)
        path = WEBHOOK.replace("stripe", "bank")
        answer = await client.post(path, content=body, headers=signed(body, SIGNING_KEY))
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("kind", ["refund.failed", "refund.updated", "charge.refund.updated"])
async def test_failed_refund_is_taken_back_told_and_to_be_made_again(  # noqa: PLR0913, PLR0917 - parts
    client: httpx.AsyncClient,
    database: Database,
    settings: Settings,
    bank: Bank,
    pay: Pay,
    kind: str,
) -> None:
    location = await pay()
    order_id = UUID(location.rpartition("/")[2])
    asked = await refund(database, order_id, 300)
    await drain_payments(database, settings, bank)
    bank.fail_refunds(order_id)

    await tell(client, database, order_id, kind)
    await drain_payments(database, settings, bank)

    assert await money(client, location) == (TOTAL, TOTAL, 0, 0, TOTAL)
    shown = (await client.get(f"{location}/payments")).json()["attempts"][-1]
    assert (shown["state"], shown["error"]) == ("declined", "refund_failed:lost_card")
    assert sorted(await cash(database, order_id)) == [-300, 300, TOTAL]
    told = (await client.get(f"{location}/events")).json()["events"][-1]
    assert told["kind"] == "payment_refused"
    assert told["data"]["operation"] == "refund"
    assert told["data"]["code"] == "refund_failed:lost_card"
    [finding] = await still_open(database)
    assert (finding.kind, finding.subject, finding.order_id) == (
        "refund_failed",
        str(asked.id),
        order_id,
    )
    await assert_sound(database)

    await refund(database, order_id, TOTAL)
    await drain_payments(database, settings, bank)

    assert sum(await cash(database, order_id)) == sum(bank.takings(order_id)) == 0
    await assert_sound(database)


async def test_reversal_that_is_missing_is_an_unsound_ledger(
    database: Database, settings: Settings, client: httpx.AsyncClient, bank: Bank, pay: Pay
) -> None:
    order_id = UUID((await pay()).rpartition("/")[2])
    asked = await refund(database, order_id, 300)
    await drain_payments(database, settings, bank)
    bank.fail_refunds(order_id)
    await tell(client, database, order_id)
    await drain_payments(database, settings, bank)

    e = tables.ledger_entries.c
    async with transaction(database) as tx:
        gone = delete(tables.ledger_entries).where(
            e.account != "receivable", e.amount_minor != TOTAL
        )
        await tx.execute(gone.where(e.transaction_id != asked.id))
        found = await invariants.check(tx)

    assert {one.invariant for one in found} == {"S4 the ledger is what the gateway did"}


async def test_cancelled_order_whose_refund_failed_is_refunded_again(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank, pay: Pay
) -> None:
    location = await pay()
    order_id = UUID(location.rpartition("/")[2])
    await client.post(f"{location}/cancel", headers=STAFF)
    await settle_payments(database, settings, bank)
    bank.fail_refunds(order_id)

    await tell(client, database, order_id, "refund.updated", "refund.failed")
    await settle_payments(database, settings, bank)

    made = await attempts(database, order_id)
    assert made == [("charge", "succeeded"), ("refund", "declined"), ("refund", "succeeded")]
    assert sum(await cash(database, order_id)) == sum(bank.takings(order_id)) == 0
    assert (await timeline(database, order_id))[-2:] == ["payment_refused", "payment_refunded"]
    assert await still_open(database) == []
    await assert_sound(database)


async def test_refunds_that_fail_again_and_again_wait_for_a_person(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank, pay: Pay
) -> None:
    location = await pay()
    order_id = UUID(location.rpartition("/")[2])
    await client.post(f"{location}/cancel", headers=STAFF)
    await settle_payments(database, settings, bank)

    for _ in range(REFUNDS_FAILED_MAX):
        bank.fail_refunds(order_id)
        await tell(client, database, order_id)
        await settle_payments(database, settings, bank)

    t = tables.tasks.c
    async with transaction(database) as tx:
        query = select(t.kind, t.last_error).where(t.order_id == order_id, t.state == "dead")
        [(task, error)] = await tx.execute(query)
    assert task == Kind.UNDO_PAYMENT.value
    assert "customer's bank" in (error or "")
    assert bank.verbs().count("refund") == REFUNDS_FAILED_MAX


async def test_word_of_a_failed_refund_is_not_believed(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank, pay: Pay
) -> None:
    location = await pay()
    order_id = UUID(location.rpartition("/")[2])
    await refund(database, order_id, 300)
    await drain_payments(database, settings, bank)
    before = await timeline(database, order_id)

    await tell(client, database, order_id)
    await drain_payments(database, settings, bank)

    assert bank.verbs()[-1] == "find"
    assert await attempts(database, order_id) == [("charge", "succeeded"), ("refund", "succeeded")]
    assert await timeline(database, order_id) == before
    assert await still_open(database) == []


async def test_refund_that_cannot_be_looked_up_is_looked_up_later(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank, pay: Pay
) -> None:
    location = await pay()
    order_id = UUID(location.rpartition("/")[2])
    await refund(database, order_id, 300)
    await drain_payments(database, settings, bank)
    bank.fail_refunds(order_id)
    bank.found.extend([None, Succeeded("re_1")])

    await tell(client, database, order_id)
    await tell(client, database, order_id, "refund.updated")
    await settle_payments(database, settings, bank)

    assert await attempts(database, order_id) == [("charge", "succeeded"), ("refund", "declined")]
    assert sum(await cash(database, order_id)) == sum(bank.takings(order_id)) == TOTAL
    await assert_sound(database)
