from collections.abc import Callable

import pytest

from domain.payment import ActionRequired, Charge, Declined, Succeeded, Unknown
from ops.sandbox import ledger
from tests.outside import Sandbox
from tests.workers.gateways.account import (
    a_charge,
    a_hold,
    adapter,
    answering,
    by_hand,
    fault,
    paid,
    reply,
    settled,
)
from workers.gateways.stripe import StripeGateway

SECURE = "pm_card_threeDSecureRequired"


async def test_customer_who_authenticates_pays(gateway: StripeGateway, outside: Sandbox) -> None:
    charge = a_charge(SECURE)

    asked = await waiting(gateway, charge)

    assert asked.client_secret.startswith(asked.gateway_ref)
    assert await gateway.find(charge) == asked
    assert str(charge.order_id) not in ledger.settlements(outside.folder)
    await answer(outside, asked, "success")
    assert await gateway.find(charge) == Succeeded(asked.gateway_ref, fee_minor=50)
    assert settled(outside, charge.order_id).captured == 1999


async def test_customer_who_authenticates_has_the_money_held(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    hold = a_hold(SECURE)
    asked = await waiting(gateway, hold)
    await answer(outside, asked, "success")

    held = await gateway.find(hold)

    assert isinstance(held, Succeeded)
    assert held.expires_at is not None
    assert settled(outside, hold.order_id).held == 1999


async def test_failed_authentication_leaves_no_payment_that_could_still_succeed(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    charge = a_charge(SECURE)
    asked = await waiting(gateway, charge)
    assert (await answer(outside, asked, "fail"))["status"] == "requires_payment_method"

    assert await gateway.find(charge) == Declined("payment_intent_authentication_failure")
    assert await gateway.find(charge) == Declined("canceled")


async def test_decline_is_not_believed_while_its_payment_cannot_be_ended(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    charge = a_charge("pm_card_chargeDeclined")
    await gateway.execute(charge)

    async with fault(outside, "error-500", "void"):
        assert isinstance(await gateway.find(charge), Unknown)

    assert await gateway.find(charge) == Declined("generic_decline")


@pytest.mark.parametrize("make", [a_charge, a_hold])
async def test_waiting_payment_is_abandoned_for_good(
    gateway: StripeGateway, outside: Sandbox, make: Callable[[str], Charge]
) -> None:
    charge = make(SECURE)
    asked = await waiting(gateway, charge)

    assert await gateway.abandon(charge, asked.gateway_ref) == Declined("abandoned")
    assert await gateway.abandon(charge, asked.gateway_ref) == Declined("abandoned")
    assert await gateway.find(charge) == Declined("canceled")
    assert str(charge.order_id) not in ledger.settlements(outside.folder)


async def test_payment_that_succeeded_meanwhile_cannot_be_abandoned(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    charge = a_charge(SECURE)
    asked = await waiting(gateway, charge)
    await answer(outside, asked, "success")

    outcome = await gateway.abandon(charge, asked.gateway_ref)

    assert outcome == Succeeded(asked.gateway_ref, fee_minor=50)


async def test_held_money_that_is_abandoned_is_released(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    hold = a_hold()
    ref = await paid(gateway, hold)

    assert await gateway.abandon(hold, ref) == Declined("abandoned")
    assert settled(outside, hold.order_id).held == 0


@pytest.mark.parametrize("kind", ["timeout", "reset", "500", "truncated", "wrong-attempt"])
async def test_abandoning_with_a_spoiled_answer_is_unknown_and_can_be_repeated(
    outside: Sandbox, kind: str
) -> None:
    async with adapter(outside.gateway_url, timeout_s=1.0) as gateway:
        charge = a_charge(SECURE)
        asked = await waiting(gateway, charge)
        async with fault(outside, f"charged-then-{kind}", "void"):
            assert isinstance(await gateway.abandon(charge, asked.gateway_ref), Unknown)

        assert await gateway.abandon(charge, asked.gateway_ref) == Declined("abandoned")


async def test_payment_of_nobody_is_not_taken_for_abandoned(gateway: StripeGateway) -> None:
    assert isinstance(await gateway.abandon(a_charge(), "pi_nobody"), Unknown)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("canceled", Declined),
        ("succeeded", Succeeded),
        ("requires_action", ActionRequired),
        ("requires_payment_method", Unknown),
        ("processing", Unknown),
    ],
)
async def test_only_a_cancelled_payment_is_abandoned(status: str, outcome: type[object]) -> None:
    charge = a_charge()
    payment = {
        "id": "pi_1",
        "status": status,
        "amount": 1999,
        "amount_received": 1999 if status == "succeeded" else 0,
        "amount_capturable": 0,
        "currency": "gbp",
        "created": 1,
        "client_secret": "s",
        "last_payment_error": {"type": "card_error"},
        "metadata": {"attempt_id": str(charge.attempt_id)},
    }

    async with answering(reply(payment)) as url, adapter(url) as gateway:
        assert isinstance(await gateway.abandon(charge, "pi_1"), outcome)


async def waiting(gateway: StripeGateway, charge: Charge) -> ActionRequired:
    asked = await gateway.execute(charge)
    assert isinstance(asked, ActionRequired)
    return asked


async def answer(outside: Sandbox, asked: ActionRequired, how: str) -> dict[str, object]:
    """Answer as the customer does, who has nothing but the client secret."""
    path = f"payment_intents/{asked.gateway_ref}/authenticate"
    return await by_hand(outside, path, outcome=how, client_secret=asked.client_secret)
