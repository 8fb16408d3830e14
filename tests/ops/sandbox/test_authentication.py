from typing import Any

import aiohttp
import pytest
import stripe

from tests.ops.sandbox.caller import Caller
from tests.ops.sandbox.merchant import Merchant
from tests.outside import Sandbox

CARD = "pm_card_threeDSecure2Required"


@pytest.mark.parametrize(
    ("method", "then"), [("automatic", "succeeded"), ("manual", "requires_capture")]
)
async def test_customer_who_passes_completes_the_payment(
    merchant: Merchant, outside: Sandbox, method: str, then: str
) -> None:
    waiting = await merchant.pay(CARD, capture_method=method)
    assert (waiting.status, waiting.latest_charge) == ("requires_action", None)

    status, answered = await answer(outside, waiting, "success")

    assert (status, answered["status"]) == (200, then)
    ended = await merchant.payment(waiting.id)
    assert (ended.status, ended.next_action) == (then, None)
    assert ended.amount_capturable + ended.amount_received == 1000


async def test_customer_who_fails_leaves_the_payment_without_a_method(
    merchant: Merchant, outside: Sandbox
) -> None:
    waiting = await merchant.pay(CARD)

    await answer(outside, waiting, "fail")
    again, refusal = await answer(outside, waiting, "success")

    ended = await merchant.payment(waiting.id)
    assert ended.status == "requires_payment_method"
    assert ended.last_payment_error is not None
    assert ended.last_payment_error.code == "payment_intent_authentication_failure"
    assert (again, refusal["error"]["code"]) == (400, "payment_intent_unexpected_state")
    assert await merchant.events(waiting.id) == [
        "payment_intent.requires_action",
        "payment_intent.payment_failed",
    ]


async def test_waiting_payment_can_be_canceled(merchant: Merchant) -> None:
    waiting = await merchant.pay(CARD)

    assert (await merchant.void(waiting.id)).status == "canceled"


async def test_page_is_for_who_has_the_client_secret_only(
    merchant: Merchant, outside: Sandbox
) -> None:
    waiting = await merchant.pay(CARD)
    page = outside.gateway_url + page_of(waiting)

    async with aiohttp.ClientSession() as session:
        async with session.get(page) as shown:
            assert shown.status == 200
            assert 'value="success"' in await shown.text()
        async with session.get(page.partition("?")[0]) as refused:
            assert refused.status == 401
        async with session.post(page + "x", data={"outcome": "success"}) as refused:
            assert refused.status == 401


async def test_who_wants_no_action_gets_a_decline(merchant: Merchant) -> None:
    with pytest.raises(stripe.CardError) as declined:
        await merchant.pay(CARD, error_on_requires_action=True)

    assert declined.value.code == "authentication_required"


async def test_merchant_may_answer_in_the_customers_place(
    merchant: Merchant, caller: Caller
) -> None:
    waiting = await merchant.pay("pm_card_authenticationRequired")

    path = f"/v1/payment_intents/{waiting.id}/authenticate?outcome=success"
    assert (await caller.post(path, None, {})).json["status"] == "succeeded"


def page_of(waiting: Any) -> str:
    return waiting.next_action["use_stripe_sdk"]["stripe_js"]


async def answer(outside: Sandbox, waiting: Any, outcome: str) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.post(outside.gateway_url + page_of(waiting), data={"outcome": outcome}) as response,
    ):
        return response.status, await response.json()
