import asyncio
import logging
import signal
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from domain.money import Money
from domain.payment import Charge, Declined, Outcome, Succeeded, Unknown
from ops.sandbox import ledger
from ops.sandbox.ledger import Settlement
from tests.outside import Sandbox, Start
from tests.workers.gateways.account import (
    REPLY,
    a_charge,
    a_hold,
    a_refund,
    a_void,
    adapter,
    answering,
    reply,
    settled,
)
from workers.gateways.stripe import StripeGateway

EVER = (datetime.fromtimestamp(0, UTC), datetime(2100, 1, 1, tzinfo=UTC))


async def test_charge_is_captured_once_for_exactly_the_amount(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    charge = a_charge()

    first = await gateway.execute(charge)
    again = await gateway.execute(charge)

    assert isinstance(first, Succeeded)
    assert again == first
    assert settled(outside, charge.order_id) == Settlement(
        authorized=1999,
        captured=1999,
        fees=50,
        captures=1,
        currencies={"gbp"},
        attempts=[str(charge.attempt_id)],
    )


async def test_charge_tells_the_fee_and_no_expiry(gateway: StripeGateway) -> None:
    charge = a_charge()

    charged = await gateway.execute(charge)

    assert isinstance(charged, Succeeded)
    assert (charged.fee_minor, charged.expires_at) == (50, None)
    assert await gateway.find(charge) == charged


async def test_concurrent_charges_of_one_attempt_charge_once(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    charge = a_charge("pm_sandbox_delay_300")

    outcomes = await asyncio.gather(*(gateway.execute(charge) for _ in range(5)))

    assert sum(isinstance(each, Succeeded) for each in outcomes) == 1
    assert sum(isinstance(each, Unknown) for each in outcomes) == 4
    assert settled(outside, charge.order_id).captures == 1


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedStolenCard", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_card_of_nobody", "gateway_refused:resource_missing"),
    ],
)
async def test_definite_no_is_declined_under_its_code(
    gateway: StripeGateway, outside: Sandbox, card: str, code: str
) -> None:
    charge = a_charge(card)

    assert await gateway.execute(charge) == Declined(code)
    assert await gateway.execute(charge) == Declined(code)
    assert str(charge.order_id) not in ledger.settlements(outside.folder)


async def test_declined_charge_is_found_as_declined(gateway: StripeGateway) -> None:
    charge = a_charge("pm_card_chargeDeclinedInsufficientFunds")
    await gateway.execute(charge)

    assert await gateway.find(charge) == Declined("insufficient_funds")


async def test_amount_out_of_range_is_declined_as_refused(gateway: StripeGateway) -> None:
    charge = a_charge(amount=Money(100_000_000, "GBP"))

    assert await gateway.execute(charge) == Declined("gateway_refused:amount_too_large")


async def test_same_attempt_with_another_amount_is_unknown(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    charge = a_charge()
    await gateway.execute(charge)

    other = await gateway.execute(msgspec.structs.replace(charge, amount=Money(1, "GBP")))

    assert isinstance(other, Unknown)
    assert settled(outside, charge.order_id).captured == 1999


@pytest.mark.parametrize(
    "fault", ["timeout", "reset", "500", "truncated", "wrong_amount", "wrong_attempt"]
)
async def test_charge_with_a_spoiled_answer_is_unknown_and_then_found(
    outside: Sandbox, fault: str
) -> None:
    charge = a_charge(f"pm_sandbox_charged_then_{fault}")
    async with adapter(outside.gateway_url, timeout_s=1.0) as gateway:
        spoiled = await gateway.execute(charge)
        found = await gateway.find(charge)
        again = await gateway.execute(charge)

    assert isinstance(spoiled, Unknown)
    assert isinstance(found, Succeeded)
    assert again == found
    assert settled(outside, charge.order_id).captures == 1


async def test_charge_that_executes_after_the_timeout_is_found_once_it_did(
    outside: Sandbox,
) -> None:
    charge = a_charge("pm_sandbox_delay_1500")
    async with adapter(outside.gateway_url, timeout_s=0.5) as gateway:
        assert isinstance(await gateway.execute(charge), Unknown)
        assert await gateway.find(charge) is None

        async with asyncio.timeout(10):
            while (found := await gateway.find(charge)) is None:
                pass

    assert isinstance(found, Succeeded)


async def test_crash_before_execution_is_unknown_and_not_found(gateway: StripeGateway) -> None:
    charge = a_charge("pm_sandbox_error_500")

    assert isinstance(await gateway.execute(charge), Unknown)
    assert await gateway.find(charge) is None
    assert isinstance(await gateway.execute(charge), Succeeded)


async def test_charge_interrupted_by_a_kill_is_settled_by_its_key(
    start: Start, tmp_path: Path
) -> None:
    first = start(tmp_path)
    charge = a_charge("pm_sandbox_charged_then_timeout")
    async with adapter(first.gateway_url) as gateway:
        asking = asyncio.create_task(gateway.execute(charge))
        async with asyncio.timeout(10):
            while not ledger.settlements(tmp_path):
                await gateway.find(charge)
        first.stop(signal.SIGKILL)
        assert isinstance(await asking, Unknown)

        second = start(tmp_path, SANDBOX_GATEWAY_PORT=first.gateway_url.rpartition(":")[2])
        settled_by_key = await gateway.execute(charge)
        second.stop()

    assert isinstance(settled_by_key, Succeeded)
    assert ledger.settlements(tmp_path)[str(charge.order_id)].captures == 1


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "not http at all\r\n\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        *(
            REPLY.format(status, len(body), body)
            for status, body in [
                (200, ""),
                (200, "<html>"),
                (200, "[]"),
                (200, "null"),
                (200, "{}"),
                (200, "[" * 100_000),
                (200, '{"id":"pi_1","status":"succeeded","amount":"1999","currency":"gbp"}'),
                (204, ""),
                (302, "{}"),
                (400, "<html>"),
                (400, '{"error": null}'),
                (400, '{"error": "invalid_client"}'),
                (400, '{"error": {"type": "idempotency_error"}}'),
                (401, "<html>"),
                (402, '{"error": {"type": "api_error"}}'),
                (404, "[]"),
                (409, '{"error": {"type": "idempotency_error", "code": "x"}}'),
                (429, "slow down"),
                (500, '{"error": {"type": "card_error", "code": "card_declined"}}'),
                (500, "[1]"),
                (503, ""),
            ]
        ),
    ],
)
async def test_answer_that_is_not_stripes_is_unknown(answer: str) -> None:
    calls = [a_charge(), a_void(a_hold(), "pi_1"), a_refund("pi_1")]
    async with answering(answer) as url, adapter(url) as gateway:
        for call in calls:
            assert isinstance(await gateway.execute(call), Unknown)
            assert isinstance(await gateway.find(call), Unknown)
        assert isinstance(await gateway.abandon(a_charge(), "pi_1"), Unknown)
        assert isinstance(await gateway.statement(*EVER, None), Unknown)


async def test_charge_that_is_named_is_found_by_its_name_and_has_to_be_that_charge(
    gateway: StripeGateway,
) -> None:
    charge, other = a_charge(), a_charge()
    charged, _ = await gateway.execute(charge), await gateway.execute(other)
    assert isinstance(charged, Succeeded)

    async def named(by: Charge, ref: str) -> Outcome | None:
        return await gateway.find(msgspec.structs.replace(by, named=ref))

    strange = await named(other, charged.gateway_ref)
    dearer = Money(charge.amount.minor + 1, charge.amount.currency)
    differs = await named(msgspec.structs.replace(charge, amount=dearer), charged.gateway_ref)

    assert await named(charge, charged.gateway_ref) == charged
    assert await named(charge, "pi_of_nobody") is None
    for found, why in ((strange, "of another attempt"), (differs, "not what was asked")):
        assert isinstance(found, Unknown)
        assert found.pending
        assert why in found.reason


async def test_two_payments_of_one_attempt_are_left_to_a_person() -> None:
    charge = a_charge()
    payment = {
        "id": "pi_1",
        "status": "succeeded",
        "amount": 1999,
        "amount_received": 1999,
        "amount_capturable": 0,
        "currency": "gbp",
        "created": 1,
        "metadata": {"attempt_id": str(charge.attempt_id)},
    }

    async with answering(reply({"data": [payment]})) as url, adapter(url) as gateway:
        assert isinstance(await gateway.find(charge), Succeeded)
    twice = reply({"data": [payment, payment | {"id": "pi_2"}]})
    async with answering(twice) as url, adapter(url) as gateway:
        assert isinstance(await gateway.find(charge), Unknown)


@pytest.mark.parametrize("card", ["pm_card_visa", "pm_card_chargeDeclined", "pm_card_of_nobody"])
async def test_payment_method_is_never_logged_or_told(
    gateway: StripeGateway, caplog: pytest.LogCaptureFixture, card: str
) -> None:
    caplog.set_level(logging.DEBUG)

    outcome = await gateway.execute(a_charge(card))

    assert card not in caplog.text
    assert card not in repr(outcome)
