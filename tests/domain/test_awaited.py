"""What an order waits for people to do about its payment."""

from datetime import timedelta

import pytest

from domain.explain import explain
from domain.explanation import Code, Explanation, Owner
from domain.funds import AttemptKind, AttemptState
from domain.status import Status
from domain.task import Kind
from tests.domain.facts import (
    ATTEMPT,
    EARLIER,
    JUST_NOW,
    LATER,
    NOON,
    ORDER,
    SOON,
    attempt,
    facts,
    subject,
    work,
)

HELD_UNTIL = subject(Status.RESERVED, reserved_until=LATER)
AUTHORIZED = attempt(AttemptKind.AUTHORIZE, expires_at=LATER)
AT = "2026-11-21T11:00:00Z"


def test_payment_waits_for_the_customer_to_authenticate_it() -> None:
    asked = attempt(state=AttemptState.ACTION_REQUIRED)
    asking = work(Kind.CHARGE, run_at=SOON, attempt=1)

    assert explain(facts(HELD_UNTIL, asking, attempts=[asked])) == Explanation(
        sentence=f"The order waits since {AT} for the customer to confirm the payment of 10.00 GBP"
        " with their bank: its stock is reserved until 2026-11-21T13:00:00Z.",
        since=EARLIER,
        owner=Owner.CUSTOMER,
        action="ask the customer to confirm the payment (3-D Secure)",
        code=Code.CUSTOMER_AUTHENTICATION,
        waits_for="the customer to confirm the payment",
        until=LATER,
    )


def test_declined_order_waits_for_another_payment_method() -> None:
    declined = attempt(state=AttemptState.DECLINED, error="expired_card")

    found = explain(facts(HELD_UNTIL, attempts=[declined]))

    assert (found.code, found.owner, found.until) == (
        Code.OTHER_PAYMENT_METHOD,
        Owner.CUSTOMER,
        LATER,
    )
    assert found.action == f"POST /v1/orders/{ORDER}/payment-method"
    assert found.sentence == (
        f"The order waits since {AT} for another payment method: stripe declined the payment with"
        ' "expired_card", and its stock is reserved until 2026-11-21T13:00:00Z.'
    )


def test_other_payment_method_is_charged_by_the_platform() -> None:
    declined = attempt(state=AttemptState.DECLINED, error="expired_card")

    assert explain(facts(HELD_UNTIL, work(Kind.CHARGE), attempts=[declined])).code is Code.DUE


def test_person_decides_on_what_the_gateway_cannot_say() -> None:
    asked = attempt(state=AttemptState.UNKNOWN, gateway_ref="pi_1", error="No answer.")
    asking = work(Kind.CHARGE, run_at=SOON, attempt=9)

    assert explain(facts(Status.REVIEW, asking, attempts=[asked])) == Explanation(
        sentence=f"The order waits since {AT} for a person to decide on its payment: nobody could"
        f" say what became of it; look at stripe for {ATTEMPT} or pi_1, the charge of 10.00 GBP,"
        f' sent at {AT}, of which was last heard "No answer".',
        since=EARLIER,
        owner=Owner.STAFF,
        action=f"POST /v1/orders/{ORDER}/resolve",
        code=Code.REVIEW,
        waits_for="a person to decide on its payment",
    )


@pytest.mark.parametrize("status", [Status.PAID, Status.SHIPPED, Status.DELIVERED])
def test_authorized_money_waits_for_its_capture(status: Status) -> None:
    captured = attempt(AttemptKind.CAPTURE, amount_minor=400, final=False)

    found = explain(facts(status, attempts=[AUTHORIZED, captured]))

    assert (found.code, found.owner, found.until) == (Code.CAPTURE_OUTSTANDING, Owner.STAFF, LATER)
    assert found.action == f"POST /v1/orders/{ORDER}/capture"
    assert found.sentence == (
        f"The {status} order waits since {AT} for its capture: 6.00 GBP are authorized and not"
        " captured, and the authorization expires at 2026-11-21T13:00:00Z."
    )


@pytest.mark.parametrize("status", [Status.PAID, Status.CANCELLED])
def test_person_decides_on_a_refund_that_the_gateway_had_time_to_tell_of(status: Status) -> None:
    long_ago = NOON - timedelta(hours=2)
    asked = attempt(AttemptKind.REFUND, AttemptState.UNKNOWN, sent_at=long_ago)
    asking = work(Kind.REFUND, run_at=SOON, payload={"attempt_id": str(ATTEMPT)})

    found = explain(facts(status, asking, attempts=[asked]))

    assert (found.code, found.owner, found.since) == (Code.REVIEW, Owner.STAFF, long_ago)
    assert found.action == f"POST /v1/orders/{ORDER}/resolve"


def test_reserved_order_is_asked_after_until_it_is_in_review() -> None:
    asked = attempt(state=AttemptState.UNKNOWN, sent_at=NOON - timedelta(hours=3))
    asking = work(Kind.CHARGE, run_at=SOON, attempt=9)

    assert explain(facts(HELD_UNTIL, asking, attempts=[asked])).code is Code.LOOKUP_SCHEDULED


def test_authorization_that_nobody_takes_note_of_wants_a_clock() -> None:
    gone = attempt(AttemptKind.AUTHORIZE, expires_at=EARLIER)

    found = explain(facts(Status.PAID, attempts=[gone]))

    assert (found.code, found.owner, found.action) == (
        Code.AUTHORIZATION_EXPIRED,
        Owner.STAFF,
        "start a clock process",
    )


def test_authorization_that_ran_out_is_taken_note_of_by_itself() -> None:
    gone = attempt(AttemptKind.AUTHORIZE, expires_at=JUST_NOW)

    found = explain(facts(Status.PAID, attempts=[gone]))

    assert (found.code, found.owner) == (Code.AUTHORIZATION_EXPIRED, Owner.PLATFORM)
    assert found.sentence.endswith(": 10.00 GBP were not captured in time.")
