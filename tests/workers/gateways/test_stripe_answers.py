from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from domain.money import Money
from domain.payment import (
    ActionRequired,
    Booked,
    Capture,
    Charge,
    Declined,
    Outcome,
    Refund,
    Succeeded,
    Unknown,
)
from workers.gateways.stripe_answers import booked, charged, refunded
from workers.gateways.stripe_objects import (
    BalanceTransaction,
    Card,
    Details,
    LatestCharge,
    PaymentIntent,
    Problem,
    RefundMade,
)

ATTEMPT = UUID(int=1)
ORDER = UUID(int=2)
CHARGE = Charge(ATTEMPT, ORDER, Money(500, "EUR"), "pm_card_visa")
HOLD = Charge(ATTEMPT, ORDER, Money(500, "EUR"), "pm_card_visa", Capture.MANUAL)
REFUND = Refund(ATTEMPT, ORDER, Money(500, "EUR"), "pi_1")


@pytest.mark.parametrize(
    ("status", "received", "outcome"),
    [
        ("succeeded", 500, Succeeded),
        ("succeeded", 499, Unknown),
        ("succeeded", 501, Unknown),
        ("succeeded", 0, Unknown),
        ("processing", 0, Unknown),
        ("requires_capture", 0, Unknown),
        ("requires_confirmation", 0, Unknown),
        ("requires_payment_method", 0, Unknown),
        ("requires_action", 0, Unknown),
        ("canceled", 0, Declined),
        ("invented_tomorrow", 500, Unknown),
    ],
)
def test_only_a_whole_capture_is_a_success(
    status: str, received: int, outcome: type[Outcome]
) -> None:
    payment = a_payment(status=status, amount_received=received)

    assert isinstance(charged(CHARGE, payment), outcome)


@pytest.mark.parametrize(
    ("status", "capturable", "received", "outcome"),
    [
        ("requires_capture", 500, 0, Succeeded),
        ("requires_capture", 499, 1, Unknown),
        ("requires_capture", 0, 0, Unknown),
        ("succeeded", 0, 500, Unknown),
        ("canceled", 0, 0, Declined),
    ],
)
def test_only_a_whole_hold_is_an_authorization(
    status: str, capturable: int, received: int, outcome: type[Outcome]
) -> None:
    payment = a_payment(status=status, amount_capturable=capturable, amount_received=received)

    assert isinstance(charged(HOLD, payment), outcome)


def test_customer_can_only_act_with_a_secret() -> None:
    asked = a_payment(status="requires_action", client_secret="s")  # noqa: S106 - of nobody
    without = a_payment(status="requires_action")

    assert charged(CHARGE, asked) == ActionRequired("pi_1", "s")
    assert isinstance(charged(CHARGE, without), Unknown)


def test_decline_is_told_by_its_most_exact_code() -> None:
    problem = Problem("card_error", "card_declined", "insufficient_funds")
    payment = a_payment(status="requires_payment_method", last_payment_error=problem)

    assert charged(CHARGE, payment) == Declined("insufficient_funds")


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 501},
        {"amount": 501, "amount_received": 501},
        {"currency": "gbp"},
        {"metadata": {"attempt_id": str(UUID(int=9))}},
        {"metadata": {}},
    ],
)
@pytest.mark.parametrize("status", ["succeeded", "canceled", "requires_action"])
def test_payment_that_was_not_asked_for_is_unknown(other: dict[str, Any], status: str) -> None:
    payment = a_payment(**{"status": status, "client_secret": "s"} | other)

    assert isinstance(charged(CHARGE, payment), Unknown)


@pytest.mark.parametrize(
    ("moved", "fee"),
    [
        (BalanceTransaction(500, "eur", 28), 28),
        (BalanceTransaction(500, "eur", 0), 0),
        (BalanceTransaction(700, "usd", 28), 0),
        (BalanceTransaction(499, "eur", 28), 0),
        ("txn_1", 0),
        (None, 0),
    ],
)
def test_fee_is_that_of_the_whole_amount_in_its_currency(
    moved: BalanceTransaction | str | None, fee: int
) -> None:
    payment = a_payment(latest_charge=LatestCharge(0, moved))

    assert charged(CHARGE, payment) == Succeeded("pi_1", fee_minor=fee)


@pytest.mark.parametrize("charge", [None, "ch_1"])
def test_charge_that_is_not_told_whole_costs_nothing_known(charge: str | None) -> None:
    assert charged(CHARGE, a_payment(latest_charge=charge)) == Succeeded("pi_1")


@pytest.mark.parametrize(
    ("details", "expires_at"),
    [
        (Details(Card(1_000_000_000)), datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)),
        (Details(Card()), None),
        (Details(), None),
        (None, None),
    ],
)
def test_authorization_ends_when_the_charge_says(
    details: Details | None, expires_at: datetime | None
) -> None:
    charge = LatestCharge(0, None, details)
    payment = a_payment(
        status="requires_capture", amount_received=0, amount_capturable=500, latest_charge=charge
    )

    assert charged(HOLD, payment) == Succeeded("pi_1", expires_at=expires_at)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("succeeded", Succeeded),
        ("pending", Succeeded),
        ("failed", Declined),
        ("canceled", Declined),
        ("requires_action", Unknown),
    ],
)
def test_refund_counts_once_stripe_has_taken_it(status: str, outcome: type[Outcome]) -> None:
    made = RefundMade(
        id="re_1",
        status=status,
        amount=500,
        currency="eur",
        payment_intent="pi_1",
        metadata={"attempt_id": str(ATTEMPT)},
    )

    assert isinstance(refunded(REFUND, made), outcome)


def test_payment_is_booked_as_it_stands() -> None:
    payment = a_payment(
        amount_received=400,
        amount_capturable=100,
        currency="isk",
        latest_charge=LatestCharge(300, BalanceTransaction(400, "isk", 100)),
        metadata={"attempt_id": str(ATTEMPT), "order_id": str(ORDER)},
    )

    assert booked(payment) == Booked(
        gateway_ref="pi_1",
        attempt_id=ATTEMPT,
        order_id=ORDER,
        currency="ISK",
        authorized_minor=1,
        captured_minor=4,
        refunded_minor=3,
        created_at=datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC),
        fee_minor=1,
    )


@pytest.mark.parametrize("metadata", [{}, {"attempt_id": "", "order_id": "17"}])
def test_payment_of_somebody_else_is_booked_without_our_references(
    metadata: dict[str, str],
) -> None:
    made = booked(a_payment(metadata=metadata, latest_charge="ch_1"))

    assert (made.attempt_id, made.order_id, made.refunded_minor) == (None, None, 0)


def a_payment(**changes: Any) -> PaymentIntent:
    whole = {
        "id": "pi_1",
        "status": "succeeded",
        "amount": 500,
        "amount_received": 500,
        "amount_capturable": 0,
        "currency": "eur",
        "created": 1_000_000_000,
        "metadata": {"attempt_id": str(ATTEMPT)},
    }
    return PaymentIntent(**whole | changes)
