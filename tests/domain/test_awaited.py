"""What an order waits for people to do about its payment."""

from datetime import timedelta

import msgspec
import pytest

from domain.event import PaymentDisputed
from domain.explain import explain
from domain.explanation import Code, DatedAttempt, Explanation, Owner, Subject
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
CANCEL = f"POST /v1/orders/{ORDER}/cancel"


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


def test_capture_that_was_refused_is_told_where_it_is_waited_for() -> None:
    refused = attempt(AttemptKind.CAPTURE, AttemptState.DECLINED, amount_minor=400, error="no")

    found = explain(facts(Status.PAID, attempts=[AUTHORIZED, refused]))

    assert found.code is Code.CAPTURE_OUTSTANDING
    assert found.sentence.endswith(', but its capture of 4.00 GBP was not made ("no").')


def test_what_a_person_named_is_for_the_gateway_to_confirm() -> None:
    asked = attempt(state=AttemptState.UNKNOWN, error="No answer.")
    named = {"attempt_id": str(ATTEMPT), "gateway_ref": "pi_1"}

    found = explain(facts(Status.REVIEW, work(Kind.CHARGE, payload=named), attempts=[asked]))

    assert (found.code, found.waits_for) == (
        Code.DUE,
        "stripe to say whether the payment of 10.00 GBP happened",
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


GONE = [
    ([attempt(), attempt(AttemptKind.REFUND)], "10.00 GBP captured and 10.00 GBP refunded"),
    ([AUTHORIZED, attempt(AttemptKind.VOID)], "10.00 GBP released"),
    (
        [
            AUTHORIZED,
            attempt(AttemptKind.CAPTURE, amount_minor=300),
            attempt(AttemptKind.REFUND, amount_minor=300),
        ],
        "3.00 GBP captured and 3.00 GBP refunded and 7.00 GBP released",
    ),
]


@pytest.mark.parametrize(("attempts", "money"), GONE)
def test_paid_order_whose_money_is_gone_is_to_be_cancelled_and_not_shipped(
    attempts: list[DatedAttempt], money: str
) -> None:
    last = msgspec.structs.replace(attempts[-1], updated_at=JUST_NOW)

    assert explain(facts(Status.PAID, attempts=[*attempts[:-1], last])) == Explanation(
        sentence="The order waits since 2026-11-21T11:59:55Z for its cancellation: nothing of its"
        f" total of 10.00 GBP is paid any more ({money}).",
        since=JUST_NOW,
        owner=Owner.STAFF,
        action=CANCEL,
        code=Code.NOTHING_PAID,
        waits_for="its cancellation",
    )


def test_order_that_was_captured_in_part_only_names_the_choice() -> None:
    part = attempt(AttemptKind.CAPTURE, amount_minor=300)

    assert explain(facts(Status.PAID, attempts=[AUTHORIZED, part])) == Explanation(
        sentence=f"The order waits since {AT} for staff to ship what is paid for or to cancel it:"
        " its total of 10.00 GBP was captured in part only (3.00 GBP captured and 7.00 GBP"
        " released).",
        since=EARLIER,
        owner=Owner.STAFF,
        action=f"hand the goods that are paid for to a carrier, or {CANCEL}",
        code=Code.PARTLY_PAID,
        waits_for="staff to ship what is paid for or to cancel it",
    )


def test_mail_does_not_hide_that_nothing_is_paid_any_more() -> None:
    mail = work(Kind.NOTIFY, payload={"notice": "order_confirmed"})

    found = explain(facts(Status.PAID, mail, attempts=[attempt(), attempt(AttemptKind.REFUND)]))

    assert found.code is Code.NOTHING_PAID


@pytest.mark.parametrize("status", [Status.SHIPPED, Status.DELIVERED, Status.RETURNED])
def test_order_that_went_out_waits_for_no_decision_on_its_money(status: Status) -> None:
    refunded = [attempt(), attempt(AttemptKind.REFUND)]

    assert explain(facts(_disputed(status), attempts=refunded)).code == status.value


def test_dispute_is_settled_before_anything_is_shipped() -> None:
    assert explain(facts(_disputed(Status.PAID), attempts=[attempt()])) == Explanation(
        sentence="The paid order waits since 2026-11-21T11:59:55Z for its dispute du_1 to be"
        ' settled: the customer asked the bank for 4.00 GBP back with "fraudulent", and goods'
        " that are shipped meanwhile may be lost.",
        since=JUST_NOW,
        owner=Owner.STAFF,
        action=f"look at dispute du_1 in the gateway's dashboard; ship once it is won, or {CANCEL}",
        code=Code.PAYMENT_DISPUTED,
        waits_for="its dispute to be settled",
    )


def test_dispute_goes_before_the_capture_of_what_is_left_and_after_money_that_is_gone() -> None:
    part = attempt(AttemptKind.CAPTURE, amount_minor=300, final=False)

    left = explain(facts(_disputed(Status.PAID), attempts=[AUTHORIZED, part]))
    gone = explain(facts(_disputed(Status.PAID), attempts=GONE[0][0]))

    assert (left.code, gone.code) == (Code.PAYMENT_DISPUTED, Code.NOTHING_PAID)


def _disputed(status: Status) -> Subject:
    told = PaymentDisputed("du_1", 400, "fraudulent")
    return subject(status, disputed=told, disputed_at=JUST_NOW)
