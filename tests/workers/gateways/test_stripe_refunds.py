from uuid import UUID, uuid4

import msgspec
import pytest

from domain.money import Money
from domain.payment import Declined, RefundReason, Succeeded, Unknown
from ops.sandbox import ledger
from ops.sandbox.entries import Refund
from tests.outside import Sandbox
from tests.workers.gateways.account import (
    a_charge,
    a_refund,
    adapter,
    answering,
    by_hand,
    fault,
    paid,
    reply,
    settled,
)
from workers.gateways.stripe import StripeGateway


async def test_refund_is_made_once_and_never_above_the_capture(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    charge = a_charge()
    refund = a_refund(await paid(gateway, charge), order_id=charge.order_id)

    first = await gateway.execute(refund)
    again = await gateway.execute(refund)
    above = await gateway.execute(msgspec.structs.replace(refund, attempt_id=uuid4()))

    assert isinstance(first, Succeeded)
    assert again == first
    assert above == Declined("gateway_refused:charge_already_refunded")
    assert settled(outside, charge.order_id).refunded == 1999


async def test_parts_are_refunded_one_by_one_each_for_its_reason(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    charge = a_charge()
    ref = await paid(gateway, charge)

    for minor, reason in zip((1000, 900, 99), RefundReason, strict=True):
        part = a_refund(ref, order_id=charge.order_id, amount=Money(minor, "GBP"), reason=reason)
        assert isinstance(await gateway.execute(part), Succeeded)

    assert settled(outside, charge.order_id).refunded == 1999
    made = [each for each in ledger.entries(outside.folder) if isinstance(each, Refund)]
    assert [each.reason for each in made if each.payment_intent == ref] == list(RefundReason)


async def test_refund_of_nothing_is_declined(gateway: StripeGateway) -> None:
    refund = a_refund("pi_nobody")

    assert await gateway.execute(refund) == Declined("gateway_refused:resource_missing")


@pytest.mark.parametrize("kind", ["timeout", "reset", "500", "truncated", "wrong-amount"])
async def test_refund_with_a_spoiled_answer_is_unknown_and_then_found(
    outside: Sandbox, kind: str
) -> None:
    async with adapter(outside.gateway_url, timeout_s=1.0) as gateway:
        charge = a_charge()
        refund = a_refund(await paid(gateway, charge), order_id=charge.order_id)
        async with fault(outside, f"charged-then-{kind}", "refund"):
            spoiled = await gateway.execute(refund)
        found = await gateway.find(refund)

        assert isinstance(spoiled, Unknown)
        assert isinstance(found, Succeeded)
        assert await gateway.execute(refund) == found
    assert settled(outside, charge.order_id).refunded == 1999


async def test_refund_that_was_never_made_is_not_found_among_others(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    ref = await paid(gateway, a_charge())
    other = a_refund(ref, amount=Money(1000, "GBP"))
    await gateway.execute(other)
    lost = a_refund(ref, amount=Money(999, "GBP"))
    async with fault(outside, "error-500", "refund"):
        assert isinstance(await gateway.execute(lost), Unknown)

    assert await gateway.find(lost) is None
    assert isinstance(await gateway.find(other), Succeeded)


async def test_refund_is_found_behind_a_hundred_others(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    ref = await paid(gateway, a_charge())
    refund = a_refund(ref, amount=Money(1, "GBP"))
    made = await gateway.execute(refund)
    for _ in range(100):
        await by_hand(outside, "refunds", payment_intent=ref, amount="1")

    assert await gateway.find(refund) == made


async def test_pending_refund_counts_and_one_that_failed_is_found_as_declined(
    gateway: StripeGateway,
) -> None:
    pending = a_refund(await paid(gateway, a_charge("pm_card_pendingRefund_3600")))
    failing = a_refund(await paid(gateway, a_charge("pm_card_refundFail_0")))

    assert isinstance(await gateway.execute(pending), Succeeded)
    assert isinstance(await gateway.find(pending), Succeeded)
    assert isinstance(await gateway.execute(failing), Succeeded)
    assert await gateway.find(failing) == Declined("refund_failed:expired_or_canceled_card")


@pytest.mark.parametrize(
    "lie",
    [
        {"amount": 1998},
        {"currency": "eur"},
        {"payment_intent": "pi_2"},
        {"payment_intent": None},
        {"metadata": {}},
        {"metadata": {"attempt_id": str(UUID(int=9))}},
        {"status": "invented_tomorrow"},
    ],
)
async def test_answer_about_another_refund_is_unknown(lie: dict[str, object]) -> None:
    refund = a_refund("pi_1")
    made = {
        "id": "re_1",
        "status": "succeeded",
        "amount": 1999,
        "currency": "gbp",
        "payment_intent": "pi_1",
        "metadata": {"attempt_id": str(refund.attempt_id)},
    }

    async with answering(reply(made)) as url, adapter(url) as gateway:
        assert await gateway.execute(refund) == Succeeded("re_1")
    async with answering(reply(made | lie)) as url, adapter(url) as gateway:
        assert isinstance(await gateway.execute(refund), Unknown)
