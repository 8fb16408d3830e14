"""What a payment task does next, whatever the order and its attempts are like."""

from datetime import UTC, datetime, timedelta
from itertools import product

import msgspec
import pytest

from db.ids import new_id
from domain.attempt import (
    EVERY_GATEWAY_OUT,
    KEY_KEPT,
    SENT_AGAIN,
    WAIT_S,
    Plan,
    Step,
    Window,
    Withdrawal,
    next_step,
)
from domain.funds import OPEN, Attempt, AttemptKind, AttemptState, Payable
from domain.money import Money
from domain.payment import (
    Capture,
    Charge,
    Refund,
    RefundReason,
    TakeAuthorized,
    Void,
)
from domain.status import Status
from domain.task import DONE, Kind, State, Task, Verdict
from tests.builders import a_payable, a_task, an_attempt

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOW = Window(NOW, HOUR)
FRESH = new_id()
JUST_SENT = NOW - timedelta(seconds=5)

TAKING_KINDS = [AttemptKind.CHARGE, AttemptKind.AUTHORIZE]
ASKED_KINDS = [AttemptKind.CAPTURE, AttemptKind.VOID, AttemptKind.REFUND]
RETURNING_KINDS = [AttemptKind.VOID, AttemptKind.REFUND]
AUTHORIZED = an_attempt(AttemptKind.AUTHORIZE, gateway_ref="pi_9")


def _next(
    task: Task, payable: Payable, *, gateway: str | None = "stripe", window: Window = WINDOW
) -> Step | Withdrawal | Plan | Verdict:
    return next_step(task, payable, fresh=FRESH, gateway=gateway, window=window)


def _task_of(attempt: Attempt) -> Task:
    """The task that was written with a capture, a void or a refund."""
    return a_task(Kind(attempt.kind.value), payload={"attempt_id": str(attempt.id)})


def _step(decision: object) -> Step:
    assert isinstance(decision, Step), decision
    return decision


def _plan(decision: object) -> Plan:
    assert isinstance(decision, Plan), decision
    return decision


def _waits(decision: object, why: str) -> bool:
    return decision == Verdict(State.READY, why, WAIT_S, spent=False)


# A declined attempt does not stand: it is as if there were none.
@pytest.mark.parametrize(
    ("status", "kind", "state"),
    list(product(Status, TAKING_KINDS, [None, *AttemptState])),
)
def test_charge_is_made_only_for_reserved_orders_and_asked_after_for_all(
    status: Status, kind: AttemptKind, state: AttemptState | None
) -> None:
    sent_at = JUST_SENT if state in OPEN else None
    attempts = [] if state is None else [an_attempt(kind, state, sent_at=sent_at)]
    capture = Capture.MANUAL if kind is AttemptKind.AUTHORIZE else Capture.AUTOMATIC
    payable = a_payable(*attempts, status=status, capture=capture)
    task, wanted = a_task(Kind.CHARGE), status is Status.RESERVED

    decision = _next(task, payable)

    if state in OPEN:
        step = _step(decision)
        assert (step.attempt, step.ask_first, step.wanted) == (attempts[0], True, wanted)
        assert step.call == Charge(
            attempts[0].id, payable.order_id, payable.total, "pm_card_visa", capture
        )
    elif state is AttemptState.SUCCEEDED:
        assert decision == DONE
    elif not wanted:
        gone = state is AttemptState.CREATED
        assert decision == (Withdrawal(task, attempts[0].id) if gone else DONE)
    else:
        step = _step(decision)
        again = state is AttemptState.CREATED
        assert step.attempt.id == (attempts[0].id if again else FRESH)
        assert (step.attempt.kind, step.attempt.state) == (kind, AttemptState.CREATED)
        assert (step.attempt.amount_minor, step.attempt.gateway) == (1000, "stripe")
        assert (step.ask_first, step.wanted, step.overdue) == (False, True, False)


def test_new_charge_goes_where_it_is_routed_and_waits_if_nowhere_takes_it() -> None:
    payable = a_payable(status=Status.RESERVED)

    assert _step(_next(a_task(), payable, gateway="other")).attempt.gateway == "other"
    out = "Every payment gateway is out of service: its breaker is open."
    assert _waits(_next(a_task(), payable, gateway=None), out)


def test_charge_that_never_was_sent_goes_where_it_is_routed_now() -> None:
    payable = a_payable(an_attempt(state=AttemptState.CREATED), status=Status.RESERVED)

    again = _step(_next(a_task(), payable, gateway="other"))

    assert (again.attempt.id, again.attempt.gateway) == (payable.attempts[0].id, "other")
    assert _waits(_next(a_task(), payable, gateway=None), EVERY_GATEWAY_OUT)


@pytest.mark.parametrize("state", sorted(OPEN))
def test_charge_that_was_sent_never_changes_its_gateway(state: AttemptState) -> None:
    payable = a_payable(an_attempt(state=state), status=Status.RESERVED)

    for routed in ("other", None):
        assert _step(_next(a_task(), payable, gateway=routed)).attempt.gateway == "stripe"


# The attempt asked for and another one of the order; two open ones there cannot be.
PAIRS = [
    (state, other)
    for state, other in product(AttemptState, [None, *AttemptState])
    if not (state in OPEN and other in OPEN)
]


@pytest.mark.parametrize(("status", "kind", "pair"), list(product(Status, ASKED_KINDS, PAIRS)))
def test_what_was_asked_for_is_done_once_nothing_else_is_open(
    status: Status, kind: AttemptKind, pair: tuple[AttemptState, AttemptState | None]
) -> None:
    state, other = pair
    sent_at = JUST_SENT if state in OPEN else None
    amount = 1000 if kind is AttemptKind.VOID else 300
    asked = an_attempt(kind, state, amount, gateway_ref=None, sent_at=sent_at, final=False)
    others = [] if other is None else [an_attempt(AttemptKind.REFUND, other, 100)]
    payable = a_payable(AUTHORIZED, *others, asked, status=status)
    task = _task_of(asked)
    # What was captured of a cancelled order would only have to go back.
    wanted = kind is not AttemptKind.CAPTURE or status is not Status.CANCELLED

    decision = _next(task, payable)

    if state is AttemptState.SUCCEEDED:
        assert decision == DONE
    elif state is AttemptState.DECLINED:
        owed = status is Status.CANCELLED and kind in RETURNING_KINDS
        assert owed or decision == DONE
    elif other in OPEN:
        assert _waits(decision, "Another refund of this order is not settled.")
    elif state is AttemptState.CREATED and not wanted:
        assert decision == Withdrawal(task, asked.id)
    else:
        step = _step(decision)
        assert (step.attempt, step.ask_first, step.wanted) == (asked, state in OPEN, wanted)
        assert step.call.attempt_id == asked.id


def test_calls_name_the_payment_they_are_about() -> None:
    order = a_payable(AUTHORIZED)
    amount = Money(300, "GBP")
    part = an_attempt(AttemptKind.CAPTURE, AttemptState.CREATED, 300, final=False)
    last = an_attempt(AttemptKind.CAPTURE, AttemptState.CREATED, 300)
    void = an_attempt(AttemptKind.VOID, AttemptState.CREATED, 300)
    duplicate = RefundReason.DUPLICATE
    refund = an_attempt(AttemptKind.REFUND, AttemptState.CREATED, 300, reason=duplicate)

    made = {
        asked.id: _step(_next(_task_of(asked), _with(order, asked))).call
        for asked in (part, last, void, refund)
    }

    about = (order.order_id, amount, "pi_9")
    assert made == {
        part.id: TakeAuthorized(part.id, *about, final=False),
        last.id: TakeAuthorized(last.id, *about, final=True),
        # All that is held is released, captures included that were asked for in vain.
        void.id: Void(void.id, order.order_id, Money(1000, "GBP"), "pi_9"),
        refund.id: Refund(refund.id, *about, duplicate),
    }


def test_task_of_an_attempt_that_is_gone_is_done() -> None:
    assert _next(_task_of(an_attempt(AttemptKind.REFUND)), a_payable(AUTHORIZED)) == DONE


@pytest.mark.parametrize("status", Status)
def test_undo_gives_back_what_is_held_then_what_was_taken_until_nothing_is_left(
    status: Status,
) -> None:
    taken = an_attempt(AttemptKind.CAPTURE, amount_minor=300, final=False)
    order = a_payable(AUTHORIZED, taken, status=status)
    task = a_task(Kind.UNDO_PAYMENT)

    first = _plan(_next(task, order))
    second = _plan(_next(task, voided := _with(order, _done(first.attempt))))
    third = _next(task, _with(voided, _done(second.attempt)))

    assert (first.attempt.id, first.attempt.kind, first.more) == (FRESH, AttemptKind.VOID, True)
    assert (first.attempt.state, first.attempt.amount_minor) == (AttemptState.CREATED, 700)
    assert (second.attempt.kind, second.attempt.amount_minor) == (AttemptKind.REFUND, 300)
    assert (second.attempt.reason, second.more) == (RefundReason.REQUESTED_BY_CUSTOMER, False)
    assert third == DONE


def test_undo_refunds_only_what_was_not_refunded_already() -> None:
    paid, partly = an_attempt(), an_attempt(AttemptKind.REFUND, amount_minor=400)

    plan = _plan(_next(a_task(Kind.UNDO_PAYMENT), a_payable(paid, partly)))

    assert (plan.attempt.kind, plan.attempt.amount_minor) == (AttemptKind.REFUND, 600)


@pytest.mark.parametrize(
    ("kind", "state"), list(product(AttemptKind, [AttemptState.CREATED, *sorted(OPEN)]))
)
def test_undo_waits_for_whatever_is_not_settled(kind: AttemptKind, state: AttemptState) -> None:
    earlier = [] if kind in TAKING_KINDS else [AUTHORIZED]
    order = a_payable(*earlier, an_attempt(kind, state), status=Status.CANCELLED)

    decision = _next(a_task(Kind.UNDO_PAYMENT), order)

    assert _waits(decision, f"Another {kind} of this order is not settled.")


@pytest.mark.parametrize("attempts", [[], [an_attempt(state=AttemptState.DECLINED)]])
def test_undo_of_an_order_that_never_paid_is_done(attempts: list[Attempt]) -> None:
    assert _next(a_task(Kind.UNDO_PAYMENT), a_payable(*attempts)) == DONE


@pytest.mark.parametrize("kind", RETURNING_KINDS)
def test_what_a_cancelled_order_is_owed_is_planned_afresh_after_a_no(kind: AttemptKind) -> None:
    refused = an_attempt(kind, AttemptState.DECLINED)
    order = a_payable(AUTHORIZED, refused, status=Status.CANCELLED)

    plan = _plan(_next(_task_of(refused), order))

    assert (plan.attempt.id, plan.attempt.kind, plan.more) == (FRESH, AttemptKind.VOID, False)


def test_refund_that_the_previous_release_owed_is_planned() -> None:
    old = a_task(Kind.REFUND)

    plan = _plan(_next(old, a_payable(an_attempt(), status=Status.CANCELLED)))

    assert (plan.task, plan.attempt.kind, plan.attempt.amount_minor) == (old, "refund", 1000)


@pytest.mark.parametrize(
    ("age", "keyed", "overdue"),
    [
        (None, True, False),
        (timedelta(), True, False),
        (HOUR * SENT_AGAIN - timedelta(seconds=1), True, False),
        (HOUR * SENT_AGAIN, False, False),
        (HOUR - timedelta(seconds=1), False, False),
        (HOUR, False, True),
    ],
)
def test_call_is_sent_again_early_in_the_window_and_given_up_after_it(
    age: timedelta | None, *, keyed: bool, overdue: bool
) -> None:
    state = AttemptState.CREATED if age is None else AttemptState.UNKNOWN
    sent = an_attempt(state=state, sent_at=None if age is None else NOW - age)

    step = _step(_next(a_task(), a_payable(sent, status=Status.RESERVED)))

    assert (step.keyed, step.overdue) == (keyed, overdue)
    assert step.age_s == (age or timedelta()).total_seconds()


@pytest.mark.parametrize(("age", "keyed"), [(KEY_KEPT - HOUR, True), (KEY_KEPT, False)])
def test_call_is_never_sent_again_once_its_key_may_be_forgotten(
    age: timedelta, *, keyed: bool
) -> None:
    slow = Window(NOW, timedelta(days=30))
    sent = an_attempt(state=AttemptState.UNKNOWN, sent_at=NOW - age)

    step = _step(_next(a_task(), a_payable(sent, status=Status.RESERVED), window=slow))

    assert step.keyed is keyed


@pytest.mark.parametrize("holds", [True, False])
def test_step_says_whether_a_declined_order_keeps_its_stock(*, holds: bool) -> None:
    payable = a_payable(status=Status.RESERVED, holds=holds)

    assert _step(_next(a_task(), payable)).holds is holds


def _with(payable: Payable, attempt: Attempt) -> Payable:
    return msgspec.structs.replace(payable, attempts=(*payable.attempts, attempt))


def _done(attempt: Attempt) -> Attempt:
    return msgspec.structs.replace(attempt, state=AttemptState.SUCCEEDED)
