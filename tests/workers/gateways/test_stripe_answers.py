from typing import Any
from uuid import UUID

import pytest

from domain.money import Money
from domain.payment import Charge, Declined, Outcome, Refund, Succeeded, Unknown
from workers.gateways.stripe_answers import (
    PaymentIntent,
    RefundMade,
    amount,
    charged,
    refunded,
)

ATTEMPT = UUID(int=1)
CHARGE = Charge(ATTEMPT, UUID(int=2), Money(500, "EUR"), "pm_card_visa")
REFUND = Refund(ATTEMPT, UUID(int=2), Money(500, "EUR"), "pi_1")


@pytest.mark.parametrize(
    ("status", "received", "outcome"),
    [
        ("succeeded", 500, Succeeded),
        ("succeeded", 499, Unknown),
        ("succeeded", 0, Unknown),
        ("processing", 0, Unknown),
        ("requires_capture", 0, Unknown),
        ("requires_confirmation", 0, Unknown),
        ("requires_payment_method", 0, Unknown),
        ("requires_action", 0, Declined),
        ("canceled", 0, Declined),
        ("invented_tomorrow", 500, Unknown),
    ],
)
def test_only_a_whole_capture_is_a_success(
    status: str, received: int, outcome: type[Outcome]
) -> None:
    assert isinstance(charged(CHARGE, a_payment(status=status, received=received)), outcome)


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 501},
        {"currency": "gbp"},
        {"attempt": str(UUID(int=9))},
        {"attempt": None},
    ],
)
def test_payment_that_was_not_asked_for_is_unknown(other: dict[str, Any]) -> None:
    assert isinstance(charged(CHARGE, a_payment(**other)), Unknown)


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
    assert isinstance(refunded(REFUND, RefundMade("re_1", status, 500, "eur", "pi_1")), outcome)


@pytest.mark.parametrize(
    "made",
    [
        RefundMade("re_1", "succeeded", 499, "eur", "pi_1"),
        RefundMade("re_1", "succeeded", 500, "gbp", "pi_1"),
        RefundMade("re_1", "succeeded", 500, "eur", "pi_2"),
        RefundMade("re_1", "succeeded", 500, "eur", None),
    ],
)
def test_refund_that_was_not_asked_for_is_unknown(made: RefundMade) -> None:
    assert isinstance(refunded(REFUND, made), Unknown)


@pytest.mark.parametrize(
    ("money", "counted"),
    [
        (Money(1999, "GBP"), 1999),
        (Money(500, "JPY"), 500),
        (Money(500, "ISK"), 50_000),
        (Money(500, "UGX"), 50_000),
    ],
)
def test_amounts_are_counted_as_stripe_does(money: Money, counted: int) -> None:
    assert amount(money) == counted


def a_payment(
    *,
    status: str = "succeeded",
    amount: int = 500,
    received: int = 500,
    currency: str = "eur",
    attempt: str | None = str(ATTEMPT),
) -> PaymentIntent:
    metadata = {} if attempt is None else {"attempt_id": attempt}
    return PaymentIntent("pi_1", status, amount, currency, received, metadata)
