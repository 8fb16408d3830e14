import asyncio
import time
from collections.abc import Awaitable
from typing import Any
from uuid import uuid4

import pytest
import stripe

from ops.sandbox.ledger import settlements
from tests.ops.sandbox.merchant import Merchant
from tests.outside import Sandbox
from tests.waiting import eventually


async def test_held_payment_is_captured_once_with_its_fee(merchant: Merchant) -> None:
    held = await merchant.hold(expand=["latest_charge"])
    charge = held.latest_charge
    assert (held.status, held.amount_capturable, held.amount_received) == (
        "requires_capture",
        1000,
        0,
    )
    assert not charge.captured
    assert charge.payment_method_details.card.capture_before > time.time() + 6 * 24 * 3600

    taken = await merchant.capture(
        held.id, metadata={"shipment": "1"}, expand=["latest_charge.balance_transaction"]
    )

    assert (taken.status, taken.amount_capturable, taken.amount_received) == ("succeeded", 0, 1000)
    assert taken.metadata["shipment"] == "1"
    assert await merchant.search("shipment", "1") == [held.id]
    money = taken.latest_charge.balance_transaction
    assert (money.amount, money.fee, money.net) == (1000, 35, 965)
    assert (await merchant.payment(held.id)).amount_received == 1000


async def test_several_captures_leave_the_rest_capturable(
    merchant: Merchant, outside: Sandbox
) -> None:
    order = str(uuid4())
    held = await merchant.hold(metadata={"order_id": order})

    first = await merchant.capture(held.id, amount_to_capture=300, final_capture=False)
    second = await merchant.capture(held.id, amount_to_capture=200, final_capture=False)
    last = await merchant.capture(held.id, amount_to_capture=100)

    assert [(each.status, each.amount_capturable) for each in (first, second, last)] == [
        ("requires_capture", 700),
        ("requires_capture", 500),
        ("succeeded", 0),
    ]
    assert last.amount_received == 600
    assert sorted(await merchant.fees(str(last.latest_charge))) == [22, 23, 25]
    order_did = settlements(outside.folder)[order]
    assert (order_did.authorized, order_did.captured, order_did.voided) == (1000, 600, 400)
    assert (order_did.fees, order_did.held) == (70, 0)
    assert settlements(outside.folder)[order].captures == 1


async def test_void_releases_what_is_held(merchant: Merchant, outside: Sandbox) -> None:
    order = str(uuid4())
    held = await merchant.hold(metadata={"order_id": order})

    voided = await merchant.void(held.id, cancellation_reason="requested_by_customer")

    assert (voided.status, voided.cancellation_reason) == ("canceled", "requested_by_customer")
    assert voided.canceled_at is not None
    assert (await merchant.payment(held.id)).amount_capturable == 0
    order_did = settlements(outside.folder)[order]
    assert (order_did.captured, order_did.voided) == (0, 1000)


@pytest.mark.parametrize("release", ["void", "final capture of nothing"])
async def test_rest_after_a_partial_capture_is_released_and_the_part_kept(
    merchant: Merchant, release: str
) -> None:
    held = await merchant.hold()
    await merchant.capture(held.id, amount_to_capture=300, final_capture=False)

    if release == "void":
        ended = await merchant.void(held.id)
    else:
        ended = await merchant.capture(held.id, amount_to_capture=0)

    assert (ended.status, ended.amount_received) == ("succeeded", 300)
    assert ended.amount_capturable == 0


async def test_wrong_captures_are_refused_in_stripes_words(merchant: Merchant) -> None:
    paid, held = await merchant.pay(), await merchant.pay(capture_method="manual")
    voided = await merchant.void((await merchant.hold()).id)

    unexpected = "payment_intent_unexpected_state"
    assert await code(merchant.capture(paid.id)) == unexpected
    assert await code(merchant.void(paid.id)) == unexpected
    assert await code(merchant.capture(voided.id)) == unexpected
    assert await code(merchant.void(voided.id)) == unexpected
    assert await code(merchant.refund(held.id)) == unexpected
    assert await code(merchant.capture(held.id, amount_to_capture=1001)) == "amount_too_large"
    assert await code(merchant.capture(held.id, amount_to_capture=0)) == "amount_too_small"
    # Multicapture has to be asked for when the money is held.
    assert await code(merchant.capture(held.id, final_capture=False)) is None
    assert await code(merchant.capture("pi_nobody")) == "resource_missing"
    assert (await merchant.payment(held.id)).amount_capturable == 1000


async def test_refusal_tells_the_payment_as_it_stands(merchant: Merchant) -> None:
    paid = await merchant.pay()

    with pytest.raises(stripe.InvalidRequestError) as refused:
        await merchant.void(paid.id)

    body: Any = refused.value.json_body
    assert body["error"]["payment_intent"]["status"] == "succeeded"


async def test_concurrent_captures_never_exceed_what_is_held(merchant: Merchant) -> None:
    held = await merchant.hold()

    async def capture() -> None:
        await merchant.capture(held.id, amount_to_capture=300, final_capture=False)

    ended = await asyncio.gather(*(capture() for _ in range(10)), return_exceptions=True)

    assert ended.count(None) == 3
    assert (await merchant.payment(held.id)).amount_received == 900


async def test_captured_answer_is_replayed_though_the_payment_went_on(merchant: Merchant) -> None:
    held, key = await merchant.hold(), str(uuid4())
    asked = {"amount_to_capture": 300, "final_capture": False}
    await merchant.capture(held.id, key=key, **asked)
    await merchant.capture(held.id)

    again = await merchant.capture(held.id, key=key, **asked)

    assert (again.status, again.amount_received) == ("requires_capture", 300)
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError):
        await merchant.capture(held.id, key=key, amount_to_capture=301)


async def test_hold_that_ran_out_is_canceled_by_itself(merchant: Merchant) -> None:
    held = await merchant.hold("pm_card_visa_expiring_0", expand=["latest_charge"])
    before = held.latest_charge.payment_method_details.card.capture_before

    async def is_canceled() -> bool:
        return (await merchant.payment(held.id)).status == "canceled"

    await eventually(is_canceled)
    ended = await merchant.payment(held.id)

    assert time.time() >= before
    assert (ended.cancellation_reason, ended.amount_capturable) == ("automatic", 0)
    assert await code(merchant.capture(held.id)) == "payment_intent_unexpected_state"
    assert await merchant.events(held.id) == [
        "payment_intent.amount_capturable_updated",
        "payment_intent.canceled",
    ]


async def code(call: Awaitable[object]) -> str | None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await call
    return refused.value.code
