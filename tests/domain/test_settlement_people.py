"""What people may decide about the money of an order, and when they may not yet."""

from datetime import UTC, datetime, timedelta
from itertools import product

import msgspec
import pytest

from domain import settlement
from domain.attempt import Window
from domain.event import PaymentDisputed, PaymentMethodChanged
from domain.funds import OPEN, Attempt, AttemptKind, AttemptState, PaymentOpen
from domain.order import IllegalMove
from domain.status import Status
from domain.task import Kind, NewTask
from tests.builders import a_payable, an_attempt, an_order

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = Window(NOW, timedelta(hours=1))
DECLINED = an_attempt(state=AttemptState.DECLINED)


@pytest.mark.parametrize("status", Status)
def test_only_a_reserved_order_takes_another_payment_method(status: Status) -> None:
    was, payable = an_order(status=status, version=7), a_payable(DECLINED, holds=True)

    if status is Status.RESERVED:
        change = settlement.change_method(was, payable, charging=False, now=NOW)
        assert (change.order.status, change.order.version) == (Status.RESERVED, 8)
        assert change.events == (PaymentMethodChanged(),)
        assert change.tasks == (NewTask(Kind.CHARGE),)
    else:
        with pytest.raises(IllegalMove, match=f"that is {status} waits for no other"):
            settlement.change_method(was, payable, charging=False, now=NOW)


@pytest.mark.parametrize(
    ("attempts", "holds", "why"),
    [
        ([DECLINED], False, "`on_decline` cancel"),
        ([], True, "No charge of this order was declined"),
    ],
)
def test_order_that_was_not_declined_or_ends_with_it_keeps_its_payment_method(
    attempts: list[Attempt], why: str, *, holds: bool
) -> None:
    payable = a_payable(*attempts, holds=holds)

    with pytest.raises(IllegalMove, match=why):
        settlement.change_method(an_order(status=Status.RESERVED), payable, charging=False, now=NOW)


@pytest.mark.parametrize("late_s", [0, 0.3])
def test_order_that_is_out_of_time_takes_no_other_payment_method(late_s: float) -> None:
    until = NOW - timedelta(seconds=late_s)
    payable = a_payable(DECLINED, holds=True, status=Status.RESERVED, reserved_until=until)

    with pytest.raises(IllegalMove, match="ran out"):
        settlement.change_method(an_order(status=Status.RESERVED), payable, charging=False, now=NOW)


@pytest.mark.parametrize("state", [None, *(s for s in AttemptState if s != AttemptState.DECLINED)])
def test_payment_method_is_not_changed_under_a_charge(state: AttemptState | None) -> None:
    standing = [] if state is None else [an_attempt(state=state)]
    payable = a_payable(DECLINED, *standing, holds=True)

    with pytest.raises(PaymentOpen):
        settlement.change_method(
            an_order(status=Status.RESERVED), payable, charging=state is None, now=NOW
        )


@pytest.mark.parametrize("status", Status)
def test_dispute_is_noted_in_every_status(status: Status) -> None:
    was = an_order(status=status, version=7)

    change = settlement.dispute(was, "dp_1", amount_minor=300, reason="fraudulent")

    assert (change.order.status, change.order.version, change.tasks) == (status, 8, ())
    assert change.events == (PaymentDisputed("dp_1", 300, "fraudulent"),)


@pytest.mark.parametrize(
    ("status", "state", "over"), list(product(Status, AttemptState, [True, False]))
)
def test_person_decides_only_what_the_gateway_could_not_say_in_its_window(
    status: Status, state: AttemptState, *, over: bool
) -> None:
    sent_at = NOW - (timedelta(hours=2) if over else timedelta(minutes=1))
    attempt = an_attempt(state=state, sent_at=sent_at if state in OPEN else None)
    payable = a_payable(attempt, status=status)
    # A customer who may still authenticate decides as long as there is an order to pay.
    waits = state is AttemptState.ACTION_REQUIRED and status is Status.CANCELLED
    doubtful = state is AttemptState.UNKNOWN or waits
    given_up = status is Status.REVIEW or (over and status is not Status.RESERVED)

    if doubtful and given_up:
        assert settlement.unresolved(payable, WINDOW) == attempt
    else:
        why = "is still being asked after" if doubtful else "has an unknown outcome"
        with pytest.raises(IllegalMove, match=why):
            settlement.unresolved(payable, WINDOW)


@pytest.mark.parametrize(
    ("kind", "ref", "taken", "refused"),
    [
        (AttemptKind.CHARGE, "pi_2", False, False),
        (AttemptKind.CHARGE, "pi_2", True, True),
        (AttemptKind.CAPTURE, "pi_1", False, False),
        (AttemptKind.CAPTURE, "pi_2", False, True),
        (AttemptKind.VOID, "pi_2", False, True),
        (AttemptKind.REFUND, "re_2", False, False),
        (AttemptKind.REFUND, "re_2", True, True),
        (AttemptKind.REFUND, "re_1", False, True),
        (AttemptKind.REFUND, "pi_1", False, True),
    ],
)
def test_word_about_something_else_at_the_gateway_is_refused(
    kind: AttemptKind, ref: str, *, taken: bool, refused: bool
) -> None:
    unknown = an_attempt(kind=kind, state=AttemptState.UNKNOWN)
    paid = an_attempt(kind=AttemptKind.AUTHORIZE, gateway_ref="pi_1")
    earlier = an_attempt(kind=AttemptKind.REFUND, gateway_ref="re_1")
    payable = a_payable(*([] if kind is AttemptKind.CHARGE else [paid, earlier]), unknown)

    if refused:
        with pytest.raises(settlement.ReferenceRefused):
            settlement.refuse_reference(payable, unknown, ref, taken=taken)
    else:
        settlement.refuse_reference(payable, unknown, ref, taken=taken)


def test_evidence_is_what_was_asked_when_and_what_came_of_it() -> None:
    unknown = an_attempt(state=AttemptState.UNKNOWN, sent_at=NOW)
    told = msgspec.structs.replace(unknown, error="timeout")
    unsent = an_attempt(state=AttemptState.CREATED)

    assert settlement.evidence(told) == (
        "stripe was first asked at 2026-01-01T00:00:00+00:00; last: timeout"
    )
    assert settlement.evidence(unsent) == "stripe was first asked at never; last: no answer"
