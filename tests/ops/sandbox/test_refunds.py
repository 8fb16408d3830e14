from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest
import stripe

from ops.sandbox.ledger import settlements
from tests.ops.sandbox.caller import Caller
from tests.ops.sandbox.merchant import Merchant
from tests.outside import Sandbox, Start
from tests.waiting import eventually


async def test_refunds_carry_their_reason_and_are_found(merchant: Merchant) -> None:
    paid = await merchant.pay()
    first = await merchant.refund(paid.id, amount=300, reason="duplicate", metadata={"n": "1"})
    rest = await merchant.refund(paid.id)

    assert (first.status, first.reason) == ("succeeded", "duplicate")
    assert first.metadata["n"] == "1"
    assert [each.id for each in await merchant.refunds(paid.id)] == [rest.id, first.id]
    assert (await merchant.get_refund(first.id)).amount == 300
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await merchant.refund(paid.id, amount=1)
    assert refused.value.code == "charge_already_refunded"


async def test_refund_is_of_captured_money_only(merchant: Merchant) -> None:
    held = await merchant.hold()
    await merchant.capture(held.id, amount_to_capture=400)

    with pytest.raises(stripe.InvalidRequestError) as above:
        await merchant.refund(held.id, amount=401)
    assert (above.value.code, above.value.param) == (None, "amount")
    assert (await merchant.refund(held.id)).amount == 400


async def test_pending_refund_succeeds_later(merchant: Merchant) -> None:
    paid = await merchant.pay("pm_card_pendingRefund_1")
    refund = await merchant.refund(paid.id)
    assert refund.status == "pending"

    async def has_succeeded() -> bool:
        return (await merchant.get_refund(refund.id)).status == "succeeded"

    await eventually(has_succeeded)
    assert await merchant.events(refund.id) == ["refund.created", "refund.updated"]


async def test_failed_refund_gives_the_money_back_to_the_merchant(
    merchant: Merchant, outside: Sandbox
) -> None:
    order = str(uuid4())
    paid = await merchant.pay("pm_card_refundFail_1", metadata={"order_id": order})
    refund = await merchant.refund(paid.id)
    assert (refund.status, settlements(outside.folder)[order].refunded) == ("succeeded", 1000)

    async def has_failed() -> bool:
        return (await merchant.get_refund(refund.id)).status == "failed"

    await eventually(has_failed)
    assert (await merchant.get_refund(refund.id)).failure_reason == "expired_or_canceled_card"
    assert settlements(outside.folder)[order].refunded == 0
    assert "refund.failed" in await merchant.events(refund.id)
    assert (await merchant.refund(paid.id)).amount == 1000


async def test_what_was_to_happen_by_itself_happens_after_a_restart(
    start: Start, tmp_path: Path
) -> None:
    first = start(tmp_path)
    async with aiohttp.ClientSession() as session:
        caller = Caller(session, first.gateway_url)
        paid = (await caller.charge(payment_method="pm_card_pendingRefund_1")).json["id"]
        refund = (await caller.refund(paid)).json["id"]
    first.stop()

    second = start(tmp_path)
    async with aiohttp.ClientSession() as session:
        caller = Caller(session, second.gateway_url)

        async def settled() -> str:
            status = (await caller.get(f"/v1/refunds/{refund}")).json["status"]
            return "" if status == "pending" else status

        assert await eventually(settled) == "succeeded"


async def test_dispute_is_made_by_a_card_or_on_demand_and_bars_refunds(
    merchant: Merchant, caller: Caller, outside: Sandbox
) -> None:
    order = str(uuid4())
    by_card = await merchant.pay("pm_card_createDispute", metadata={"order_id": order})
    asked = await merchant.pay()
    await caller.post("/v1/disputes", None, {"payment_intent": asked.id, "amount": "400"})

    dispute, partial = (
        (await merchant.disputes(by_card.id))[0],
        (await merchant.disputes(asked.id))[0],
    )
    assert (dispute.amount, dispute.status, partial.amount) == (1000, "needs_response", 400)
    assert await merchant.events(dispute.id) == ["charge.dispute.created"]
    assert settlements(outside.folder)[order].disputed == 1000
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await merchant.refund(by_card.id)
    assert refused.value.code == "charge_disputed"
