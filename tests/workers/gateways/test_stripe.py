import asyncio
import logging
import signal
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from domain.money import Money
from domain.payment import Charge, Declined, Refund, Succeeded, Unknown, Unsent
from ops.config import Settings
from ops.sandbox import ledger
from ops.sandbox.ledger import PaymentIntent, Settlement
from tests.outside import Sandbox, Start
from workers.gateways.stripe import StripeGateway


@pytest.fixture
async def gateway(outside: Sandbox) -> AsyncGenerator[StripeGateway]:
    async with adapter(outside.gateway_url) as made:
        yield made


async def test_charge_is_captured_once_for_exactly_the_amount(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    charge = a_charge()

    first = await gateway.charge(charge)
    again = await gateway.charge(charge)

    assert isinstance(first, Succeeded)
    assert again == first
    assert settled(outside, charge.order_id) == Settlement(
        captured=1999, captures=1, currencies={"gbp"}, attempts=[str(charge.attempt_id)]
    )


async def test_concurrent_charges_of_one_attempt_charge_once(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    charge = a_charge("pm_sandbox_delay_300")

    outcomes = await asyncio.gather(*(gateway.charge(charge) for _ in range(5)))

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
        ("pm_card_authenticationRequired", "authentication_required"),
        ("pm_card_of_nobody", "gateway_refused:resource_missing"),
    ],
)
async def test_definite_no_is_declined_under_its_code(
    gateway: StripeGateway, outside: Sandbox, card: str, code: str
) -> None:
    charge = a_charge(card)

    assert await gateway.charge(charge) == Declined(code)
    assert await gateway.charge(charge) == Declined(code)
    assert str(charge.order_id) not in ledger.settlements(outside.folder)


async def test_card_that_wants_authentication_leaves_no_payment_that_could_still_succeed(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    charge = a_charge("pm_card_authenticationRequired")
    await gateway.charge(charge)

    (payment,) = [
        each
        for each in ledger.entries(outside.folder)
        if isinstance(each, PaymentIntent) and each.key == str(charge.attempt_id)
    ]
    assert payment.status == "requires_payment_method"


async def test_declined_charge_is_found_as_declined(gateway: StripeGateway) -> None:
    charge = a_charge("pm_card_chargeDeclinedInsufficientFunds")
    await gateway.charge(charge)

    assert await gateway.find_charge(charge) == Declined("insufficient_funds")


async def test_amount_out_of_range_is_declined_as_refused(gateway: StripeGateway) -> None:
    charge = a_charge(amount=Money(100_000_000, "GBP"))

    assert await gateway.charge(charge) == Declined("gateway_refused:amount_too_large")


async def test_same_attempt_with_another_amount_is_unknown(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    charge = a_charge()
    await gateway.charge(charge)

    other = await gateway.charge(msgspec.structs.replace(charge, amount=Money(1, "GBP")))

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
        spoiled = await gateway.charge(charge)
        found = await gateway.find_charge(charge)
        again = await gateway.charge(charge)

    assert isinstance(spoiled, Unknown)
    assert isinstance(found, Succeeded)
    assert again == found
    assert settled(outside, charge.order_id).captures == 1


async def test_charge_that_executes_after_the_timeout_is_found_once_it_did(
    outside: Sandbox,
) -> None:
    charge = a_charge("pm_sandbox_delay_1500")
    async with adapter(outside.gateway_url, timeout_s=0.5) as gateway:
        assert isinstance(await gateway.charge(charge), Unknown)
        assert await gateway.find_charge(charge) is None

        async with asyncio.timeout(10):
            while (found := await gateway.find_charge(charge)) is None:
                pass

    assert isinstance(found, Succeeded)


async def test_crash_before_execution_is_unknown_and_not_found(gateway: StripeGateway) -> None:
    charge = a_charge("pm_sandbox_error_500")

    assert isinstance(await gateway.charge(charge), Unknown)
    assert await gateway.find_charge(charge) is None
    assert isinstance(await gateway.charge(charge), Succeeded)


async def test_rate_limit_is_unsent(gateway: StripeGateway) -> None:
    assert isinstance(await gateway.charge(a_charge("pm_sandbox_rate_limited")), Unsent)


async def test_wrong_api_key_is_unsent(outside: Sandbox) -> None:
    async with adapter(outside.gateway_url, key="pk_wrong") as gateway:
        assert isinstance(await gateway.charge(a_charge()), Unsent)


async def test_wrong_path_is_unsent(outside: Sandbox) -> None:
    async with adapter(outside.gateway_url + "/v1") as gateway:
        assert isinstance(await gateway.charge(a_charge()), Unsent)


async def test_refused_connection_is_unsent_yet_says_nothing_to_a_lookup() -> None:
    async with adapter(f"http://127.0.0.1:{free_port()}") as gateway:
        assert isinstance(await gateway.charge(a_charge()), Unsent)
        assert isinstance(await gateway.refund(a_refund("pi_1")), Unsent)
        assert isinstance(await gateway.find_charge(a_charge()), Unknown)


async def test_connection_that_is_never_made_is_unsent() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        # The queue of a listener that accepts nobody is full after its first callers.
        listener.listen(0)
        port = listener.getsockname()[1]
        queued = [socket.socket() for _ in range(4)]
        for caller in queued:
            caller.settimeout(0)
            caller.connect_ex(("127.0.0.1", port))
        async with adapter(f"http://127.0.0.1:{port}", timeout_s=1.0) as gateway:
            outcome = await gateway.charge(a_charge())
        for caller in queued:
            caller.close()

    assert isinstance(outcome, Unsent)


async def test_refund_is_made_once_and_never_above_the_capture(
    gateway: StripeGateway, outside: Sandbox
) -> None:
    charge = a_charge()
    charged = await gateway.charge(charge)
    assert isinstance(charged, Succeeded)
    refund = a_refund(charged.gateway_ref, order_id=charge.order_id)

    first = await gateway.refund(refund)
    again = await gateway.refund(refund)
    above = await gateway.refund(msgspec.structs.replace(refund, attempt_id=uuid4()))

    assert isinstance(first, Succeeded)
    assert again == first
    assert above == Declined("gateway_refused:charge_already_refunded")
    assert settled(outside, charge.order_id).refunded == 1999


async def test_refund_of_nothing_is_declined(gateway: StripeGateway) -> None:
    refund = a_refund("pi_nobody")

    assert await gateway.refund(refund) == Declined("gateway_refused:resource_missing")


async def test_charge_interrupted_by_a_kill_is_settled_by_its_key(
    start: Start, tmp_path: Path
) -> None:
    first = start(tmp_path)
    charge = a_charge("pm_sandbox_charged_then_timeout")
    async with adapter(first.gateway_url) as gateway:
        asking = asyncio.create_task(gateway.charge(charge))
        async with asyncio.timeout(10):
            while not ledger.settlements(tmp_path):
                await gateway.find_charge(charge)
        first.stop(signal.SIGKILL)
        assert isinstance(await asking, Unknown)

        second = start(tmp_path, SANDBOX_GATEWAY_PORT=first.gateway_url.rpartition(":")[2])
        settled_by_key = await gateway.charge(charge)
        second.stop()

    assert isinstance(settled_by_key, Succeeded)
    assert ledger.settlements(tmp_path)[str(charge.order_id)].captures == 1


ERROR = "HTTP/1.1 {} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}"


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "not http at all\r\n\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        *(
            ERROR.format(status, len(body), body)
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
async def test_answer_that_is_not_stripes_is_unknown(reply: str) -> None:
    async with answering(reply) as url, adapter(url) as gateway:
        assert isinstance(await gateway.charge(a_charge()), Unknown)
        assert isinstance(await gateway.refund(a_refund("pi_1")), Unknown)
        assert isinstance(await gateway.find_charge(a_charge()), Unknown)


async def test_two_payments_of_one_attempt_are_left_to_a_person() -> None:
    charge = a_charge()
    payment = {
        "id": "pi_1",
        "status": "succeeded",
        "amount": 1999,
        "amount_received": 1999,
        "currency": "gbp",
        "metadata": {"attempt_id": str(charge.attempt_id)},
    }
    body = msgspec.json.encode({"data": [payment, payment | {"id": "pi_2"}]}).decode()

    async with answering(ERROR.format(200, len(body), body)) as url, adapter(url) as gateway:
        assert isinstance(await gateway.find_charge(charge), Unknown)


@pytest.mark.parametrize("card", ["pm_card_visa", "pm_card_chargeDeclined", "pm_card_of_nobody"])
async def test_payment_method_is_never_logged_or_told(
    gateway: StripeGateway, caplog: pytest.LogCaptureFixture, card: str
) -> None:
    caplog.set_level(logging.DEBUG)

    outcome = await gateway.charge(a_charge(card))

    assert card not in caplog.text
    assert card not in repr(outcome)


@asynccontextmanager
async def adapter(
    url: str, *, timeout_s: float = 5.0, key: str = "sk_test"
) -> AsyncGenerator[StripeGateway]:
    made = StripeGateway(
        Settings(stripe_api_base=url, stripe_api_key=key, gateway_timeout_s=timeout_s)
    )
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def answering(reply: str) -> AsyncGenerator[str]:
    """Run a server that reads one request of a connection, says this and hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
        await reader.readexactly(int(length or 0))
        writer.write(reply.encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def a_charge(card: str = "pm_card_visa", amount: Money | None = None) -> Charge:
    return Charge(uuid4(), uuid4(), amount or Money(1999, "GBP"), card)


def a_refund(gateway_ref: str, **changes: Any) -> Refund:
    refund = Refund(uuid4(), uuid4(), Money(1999, "GBP"), gateway_ref)
    return msgspec.structs.replace(refund, **changes)


def settled(outside: Sandbox, order_id: UUID) -> Settlement:
    return ledger.settlements(outside.folder)[str(order_id)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
