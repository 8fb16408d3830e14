import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from domain.money import Money
from domain.payment import Declined, Succeeded, Unknown
from tests.outside import Sandbox
from tests.workers.gateways.account import (
    a_capture,
    a_charge,
    a_hold,
    a_refund,
    a_void,
    adapter,
    answering,
    by_hand,
    fault,
    paid,
    reply,
    settled,
)
from workers.gateways.stripe import StripeGateway

SPOILT = ["timeout", "reset", "500", "truncated", "wrong-amount"]


async def test_authorization_holds_the_money_and_tells_until_when(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    hold = a_hold()

    held = await gateway.execute(hold)

    assert isinstance(held, Succeeded)
    assert held.fee_minor == 0
    assert held.expires_at is not None
    assert timedelta(days=6) < held.expires_at - datetime.now(UTC) < timedelta(days=8)
    assert await gateway.find(hold) == held
    assert (settled(outside, hold.order_id).held, settled(outside, hold.order_id).captured) == (
        1999,
        0,
    )


async def test_money_is_taken_in_parts_and_the_final_one_releases_the_rest(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    hold = a_hold()
    ref = await paid(gateway, hold)
    parts = [a_capture(hold, ref, 1000), a_capture(hold, ref, 500), a_capture(hold, ref, 99)]
    parts[2] = msgspec.structs.replace(parts[2], final=True)

    outcomes = [await gateway.execute(part) for part in parts]
    again = [await gateway.execute(part) for part in parts]
    found = [await gateway.find(part) for part in parts]

    assert outcomes == [Succeeded(ref, fee_minor=fee) for fee in (35, 28, 21)]
    assert again == outcomes
    assert all(isinstance(each, Succeeded) for each in found)
    after = settled(outside, hold.order_id)
    assert (after.captured, after.voided, after.held, after.fees) == (1599, 400, 0, 84)


@pytest.mark.parametrize("kind", SPOILT)
async def test_capture_with_a_spoiled_answer_is_unknown_and_then_found(
    outside: Sandbox, kind: str
) -> None:
    async with adapter(outside.gateway_url, timeout_s=1.0) as gateway:
        hold = a_hold()
        ref = await paid(gateway, hold)
        capture = a_capture(hold, ref, 1000)
        async with fault(outside, f"charged-then-{kind}", "capture"):
            spoiled = await gateway.execute(capture)
        found = await gateway.find(capture)

        assert isinstance(spoiled, Unknown)
        assert found == Succeeded(ref, fee_minor=35)
        assert await gateway.execute(capture) == found
    assert settled(outside, hold.order_id).captured == 1000


async def test_capture_that_was_never_made_is_not_found(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    hold = a_hold()
    ref = await paid(gateway, hold)
    first, second = a_capture(hold, ref, 1000), a_capture(hold, ref, 999)
    await gateway.execute(first)
    async with fault(outside, "error-500", "capture"):
        assert isinstance(await gateway.execute(second), Unknown)

    assert await gateway.find(second) is None
    assert isinstance(await gateway.find(first), Succeeded)


async def test_capture_above_what_is_held_is_declined(gateway: StripeGateway) -> None:
    hold = a_hold()
    capture = a_capture(hold, await paid(gateway, hold), 2000)

    assert await gateway.execute(capture) == Declined("gateway_refused:amount_too_large")
    assert await gateway.find(capture) is None


async def test_what_is_held_is_released_and_can_be_so_twice(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    hold = a_hold()
    ref = await paid(gateway, hold)
    void = a_void(hold, ref)

    assert await gateway.find(void) is None
    assert await gateway.execute(void) == Succeeded(ref)
    assert await gateway.execute(void) == Succeeded(ref)
    assert await gateway.find(void) == Succeeded(ref)
    assert await gateway.execute(a_void(hold, ref)) == Succeeded(ref)
    assert settled(outside, hold.order_id).voided == 1999


async def test_release_after_a_part_was_captured_leaves_that_part(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    hold = a_hold()
    ref = await paid(gateway, hold)
    await gateway.execute(a_capture(hold, ref, 1000))

    assert await gateway.execute(a_void(hold, ref)) == Succeeded(ref)
    assert await gateway.execute(a_void(hold, ref)) == Succeeded(ref)
    after = settled(outside, hold.order_id)
    assert (after.captured, after.voided) == (1000, 999)


@pytest.mark.parametrize("kind", SPOILT)
async def test_release_with_a_spoiled_answer_is_found(outside: Sandbox, kind: str) -> None:
    async with adapter(outside.gateway_url, timeout_s=1.0) as gateway:
        hold = a_hold()
        ref = await paid(gateway, hold)
        await gateway.execute(a_capture(hold, ref, 1000))
        void = a_void(hold, ref)
        async with fault(outside, f"charged-then-{kind}", "void"):
            spoiled = await gateway.execute(void)
        found = await gateway.find(void)

    assert isinstance(spoiled, Unknown)
    assert found == Succeeded(ref)


async def test_release_of_what_has_run_out_is_a_success(gateway: StripeGateway) -> None:
    hold = a_hold("pm_card_visa_expiring_0")
    held = await gateway.execute(hold)
    assert isinstance(held, Succeeded)
    void = a_void(hold, held.gateway_ref)
    async with asyncio.timeout(10):
        while await gateway.find(void) is None:
            pass

    assert await gateway.execute(void) == Succeeded(held.gateway_ref)
    late = a_capture(hold, held.gateway_ref, 1999, final=True)
    expected = Declined("gateway_refused:payment_intent_unexpected_state")
    assert await gateway.execute(late) == expected


async def test_release_of_what_somebody_else_took_is_declined(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    hold = a_hold()
    ref = await paid(gateway, hold)
    await by_hand(outside, f"payment_intents/{ref}/capture")

    assert await gateway.execute(a_void(hold, ref)) == Declined("already_captured")


async def test_capture_counts_although_somebody_else_took_a_part(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    hold = a_hold()
    ref = await paid(gateway, hold)
    await by_hand(
        outside, f"payment_intents/{ref}/capture", amount_to_capture="500", final_capture="false"
    )
    capture = a_capture(hold, ref, 1000)

    assert isinstance(await gateway.execute(capture), Unknown)
    assert await gateway.find(capture) == Succeeded(ref, fee_minor=35)


async def test_lookup_that_fails_says_nothing_of_a_capture_or_a_release(
    gateway: StripeGateway,
) -> None:
    hold = a_hold()

    assert isinstance(await gateway.find(a_capture(hold, "pi_nobody", 1)), Unknown)
    assert isinstance(await gateway.find(a_void(hold, "pi_nobody")), Unknown)


async def test_captured_money_is_refunded(gateway: StripeGateway, outside: Sandbox) -> None:
    hold = a_hold()
    ref = await paid(gateway, hold)
    await gateway.execute(a_capture(hold, ref, 1000, final=True))

    refund = a_refund(ref, order_id=hold.order_id, amount=Money(600, "GBP"))

    assert isinstance(await gateway.execute(refund), Succeeded)
    assert settled(outside, hold.order_id).refunded == 600


@pytest.mark.parametrize("lie", ["mark", "other_amount", "received", "order", "currency", "id"])
async def test_capture_counts_only_with_its_mark_and_the_money(lie: str) -> None:
    capture = a_capture(a_charge(), "pi_1", 500)
    order, mark = {"order_id": str(capture.order_id)}, f"c_{capture.attempt_id.hex}"
    payment = {
        "id": "pi_1",
        "status": "requires_capture",
        "amount": 1999,
        "amount_received": 800,
        "amount_capturable": 1199,
        "currency": "gbp",
        "created": 1,
        "metadata": {**order, mark: "500", f"c_{UUID(int=9).hex}": "300"},
    }
    lies = {
        "mark": {"metadata": order},
        "other_amount": {"metadata": {**order, mark: "501"}, "amount_received": 501},
        "received": {"amount_received": 799},
        "order": {"metadata": {mark: "500"}, "amount_received": 500},
        "currency": {"currency": "eur"},
        "id": {"id": "pi_2"},
    }

    async with answering(reply(payment)) as url, adapter(url) as gateway:
        assert await gateway.execute(capture) == Succeeded("pi_1")
    async with answering(reply(payment | lies[lie])) as url, adapter(url) as gateway:
        assert isinstance(await gateway.execute(capture), Unknown)
        found = await gateway.find(capture)
    assert found is None if lie == "mark" else isinstance(found, Unknown)


@pytest.mark.parametrize(
    "lie",
    [
        {"status": "requires_capture", "amount_capturable": 1999},
        {"status": "requires_action"},
        {"status": "succeeded", "amount_capturable": 1},
        {"id": "pi_2"},
        {"metadata": {}},
    ],
)
async def test_release_counts_only_once_nothing_is_held(lie: dict[str, object]) -> None:
    void = a_void(a_hold(), "pi_1")
    payment = {
        "id": "pi_1",
        "status": "canceled",
        "amount": 1999,
        "amount_received": 0,
        "amount_capturable": 0,
        "currency": "gbp",
        "created": 1,
        "metadata": {"order_id": str(void.order_id)},
    }

    async with answering(reply(payment)) as url, adapter(url) as gateway:
        assert await gateway.execute(void) == Succeeded("pi_1")
    async with answering(reply(payment | lie)) as url, adapter(url) as gateway:
        assert isinstance(await gateway.execute(void), Unknown)
        assert not isinstance(await gateway.find(void), Succeeded)
