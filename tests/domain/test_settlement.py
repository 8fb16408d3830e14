"""What every outcome of every operation makes of an order, in each status."""

from collections.abc import Sequence
from functools import partial
from itertools import product

import pytest

from db.ids import new_id
from domain import settlement
from domain.event import (
    AuthorizationExpired,
    CancelReason,
    Event,
    LatePayment,
    OrderCancelled,
    OrderPaid,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentInReview,
    PaymentRefunded,
    PaymentRefused,
    PaymentRequested,
    PaymentResolved,
    PaymentUnknown,
    PaymentVoided,
)
from domain.funds import OPEN, TAKING, Attempt, AttemptKind, AttemptState
from domain.order import Change, IllegalMove
from domain.payment import (
    NOT_FOUND,
    ActionRequired,
    Declined,
    Held,
    Outcome,
    RefundReason,
    Succeeded,
    Unknown,
    Unsent,
)
from domain.saga import compensation
from domain.status import MOVES, Status
from domain.task import Kind, NewTask, Notice
from tests.builders import an_attempt, an_order

CONFIRMED = NewTask(Kind.NOTIFY, {"notice": Notice.ORDER_CONFIRMED})
UNDO = NewTask(Kind.UNDO_PAYMENT)
BEFORE_ANSWER = [AttemptState.CREATED, *sorted(OPEN)]
CHARGED = [Status.RESERVED, Status.REVIEW]
ASKED_KINDS = [kind for kind in AttemptKind if kind not in TAKING]
DUPLICATE = RefundReason.DUPLICATE

settle = partial(settlement.settle, overdue=False, holds=False)


def _an_attempt(kind: AttemptKind, state: AttemptState = AttemptState.SENT) -> Attempt:
    return an_attempt(kind, state, reason=DUPLICATE if kind is AttemptKind.REFUND else None)


def _is(
    change: Change | None, status: Status, events: Sequence[Event], tasks: Sequence[NewTask] = ()
) -> bool:
    """Tell whether an order of version 7 has become this, and nothing else."""
    return change is not None and (
        change.order.status,
        change.order.version,
        change.events,
        change.tasks,
    ) == (status, 8, tuple(events), tuple(tasks))


@pytest.mark.parametrize(("status", "kind"), list(product(Status, sorted(TAKING))))
def test_taken_money_pays_the_order_or_goes_back_if_it_was_cancelled(
    status: Status, kind: AttemptKind
) -> None:
    attempt, was = _an_attempt(kind), an_order(status=status, version=7)
    fact = PaymentAuthorized if kind is AttemptKind.AUTHORIZE else OrderPaid

    if status is Status.CANCELLED:
        late = LatePayment(attempt.id, "pi_1", 1000)
        assert _is(settle(was, attempt, Succeeded("pi_1")), status, [late], [UNDO])
    elif Status.PAID in MOVES[status]:
        paid = settle(was, attempt, Succeeded("pi_1"))
        assert _is(paid, Status.PAID, [fact(attempt.id, "pi_1", 1000)], [CONFIRMED])
    else:
        with pytest.raises(IllegalMove):
            settle(was, attempt, Succeeded("pi_1"))


@pytest.mark.parametrize(("status", "kind"), list(product(Status, ASKED_KINDS)))
def test_what_was_asked_for_and_done_is_noted_in_every_status(
    status: Status, kind: AttemptKind
) -> None:
    attempt = _an_attempt(kind)
    facts = {
        AttemptKind.CAPTURE: PaymentCaptured(attempt.id, 1000),
        AttemptKind.VOID: PaymentVoided(attempt.id, 1000),
        AttemptKind.REFUND: PaymentRefunded(attempt.id, 1000, DUPLICATE.value),
    }

    change = settle(an_order(status=status, version=7), attempt, Succeeded("re_1"))

    assert _is(change, status, [facts[kind]])


@pytest.mark.parametrize(
    ("status", "kind", "code", "holds"),
    list(product(Status, sorted(TAKING), ["card_declined", NOT_FOUND], [True, False])),
)
def test_declined_charge_ends_an_order_that_waits_for_it_and_holds_nothing(
    status: Status, kind: AttemptKind, code: str, *, holds: bool
) -> None:
    attempt, was = _an_attempt(kind), an_order(status=status, version=7)

    change = settle(was, attempt, Declined(code), holds=holds)

    if status is Status.RESERVED and code == NOT_FOUND:
        # It never was: the order is charged afresh, by the same task.
        assert change is None
    elif status is Status.RESERVED and holds:
        assert _is(change, status, [PaymentDeclined(attempt.id, code)])
    elif status in CHARGED:
        reason = CancelReason.PAYMENT_DECLINED
        ended = OrderCancelled(reason, code)
        assert _is(change, Status.CANCELLED, [ended], compensation(status))
        assert change is not None
        assert change.cancel_reason is reason
    else:
        assert change is None


@pytest.mark.parametrize(
    ("status", "kind", "code"), list(product(Status, ASKED_KINDS, ["expired", NOT_FOUND]))
)
def test_refusal_of_what_was_asked_for_is_noted_and_moves_nothing(
    status: Status, kind: AttemptKind, code: str
) -> None:
    attempt = _an_attempt(kind)

    change = settle(an_order(status=status, version=7), attempt, Declined(code))

    assert _is(change, status, [PaymentRefused(attempt.id, kind.value, code)])


@pytest.mark.parametrize(
    ("status", "kind", "state"), list(product(Status, AttemptKind, BEFORE_ANSWER))
)
def test_customer_who_has_to_authenticate_is_told_once(
    status: Status, kind: AttemptKind, state: AttemptState
) -> None:
    attempt = _an_attempt(kind, state)

    change = settle(an_order(status=status, version=7), attempt, ActionRequired("pi_1", "secret"))

    if state is AttemptState.ACTION_REQUIRED:
        assert change is None
    else:
        assert _is(change, status, [PaymentActionRequired(attempt.id)])


@pytest.mark.parametrize(
    ("status", "kind", "state", "overdue"),
    list(product(Status, AttemptKind, BEFORE_ANSWER, [True, False])),
)
def test_unknown_outcome_is_told_once_and_past_the_window_a_person_decides(
    status: Status, kind: AttemptKind, state: AttemptState, *, overdue: bool
) -> None:
    attempt, was = _an_attempt(kind, state), an_order(status=status, version=7)

    change = settle(was, attempt, Unknown("timeout"), overdue=overdue)

    if state is AttemptState.ACTION_REQUIRED:
        # It is the customer's turn, whatever a lookup comes to.
        assert change is None
    elif overdue and status is Status.RESERVED:
        assert _is(change, Status.REVIEW, [PaymentInReview(attempt.id, "timeout")])
    elif state is AttemptState.UNKNOWN:
        assert change is None
    else:
        assert _is(change, status, [PaymentUnknown(attempt.id, "timeout", kind.value)])


@pytest.mark.parametrize(
    ("status", "kind", "outcome"), list(product(Status, AttemptKind, [Unsent("no"), Held(1.0)]))
)
def test_call_that_was_not_made_says_nothing_of_the_order(
    status: Status, kind: AttemptKind, outcome: Outcome
) -> None:
    assert settle(an_order(status=status), _an_attempt(kind), outcome) is None


@pytest.mark.parametrize(("status", "kind"), list(product(Status, ASKED_KINDS)))
def test_only_an_order_that_was_paid_and_not_cancelled_may_be_asked_for_its_money(
    status: Status, kind: AttemptKind
) -> None:
    asked, was = _an_attempt(kind, AttemptState.CREATED), an_order(status=status, version=7)

    if status in {Status.PAID, Status.SHIPPED, Status.DELIVERED, Status.RETURNED}:
        reason = DUPLICATE.value if kind is AttemptKind.REFUND else None
        noted = PaymentRequested(asked.id, kind.value, 1000, "staff", reason)
        task = NewTask(Kind(kind.value), {"attempt_id": str(asked.id)})
        assert _is(settlement.request(was, asked, actor="staff"), status, [noted], [task])
    else:
        with pytest.raises(IllegalMove, match=f"in status {status} has no money to {kind}"):
            settlement.request(was, asked, actor="staff")


NOES = [Declined("resolved"), Declined(NOT_FOUND)]
VERDICT = PaymentResolved(new_id(), "succeeded", "The bank says so.", "staff", "unknown")


@pytest.mark.parametrize(
    ("status", "kind", "outcome"),
    [
        *product(CHARGED, sorted(TAKING), [Succeeded("pi_1"), *NOES]),
        *product([Status.CANCELLED], AttemptKind, [Succeeded("pi_1"), Declined("resolved")]),
        *product([Status.PAID], ASKED_KINDS, [Succeeded("pi_1"), Declined("resolved")]),
    ],
)
def test_word_of_a_person_is_noted_before_what_follows_from_it(
    status: Status, kind: AttemptKind, outcome: Succeeded | Declined
) -> None:
    unknown, was = _an_attempt(kind, AttemptState.UNKNOWN), an_order(status=status, version=7)

    change = settlement.resolve(was, unknown, outcome, VERDICT)

    alone = settlement.settle(was, unknown, outcome, overdue=True, holds=False)
    follows = () if alone is None else alone.events
    assert change.events == (VERDICT, *follows)
    assert change.order.version == 7 + len(change.events)
    assert change.order.status is (status if alone is None else alone.order.status)
    assert change.cancel_reason is (alone and alone.cancel_reason)


@pytest.mark.parametrize("kind", ASKED_KINDS)
def test_what_a_person_says_did_not_happen_is_still_owed_to_a_cancelled_order(
    kind: AttemptKind,
) -> None:
    unknown, cancelled = _an_attempt(kind, AttemptState.UNKNOWN), an_order(status=Status.CANCELLED)

    no = settlement.resolve(cancelled, unknown, Declined("resolved"), VERDICT)
    yes = settlement.resolve(cancelled, unknown, Succeeded("re_1"), VERDICT)

    assert (no.tasks, yes.tasks) == ((UNDO,), ())


@pytest.mark.parametrize(("status", "captured"), list(product(Status, [True, False])))
def test_authorization_that_ran_out_ends_an_order_of_which_nothing_was_captured(
    status: Status, *, captured: bool
) -> None:
    held, was = _an_attempt(AttemptKind.AUTHORIZE), an_order(status=status, version=7)
    noted = AuthorizationExpired(held.id, 700)

    change = settlement.expire_authorization(was, held, left=700, captured=captured)

    if status is Status.PAID and not captured:
        assert change.events[0] == noted
        assert [type(event) for event in change.events[1:]] == [OrderCancelled]
        assert (change.order.status, change.order.version) == (Status.CANCELLED, 9)
        assert change.tasks == compensation(Status.PAID)
        assert change.cancel_reason is CancelReason.EXPIRED
    else:
        assert _is(change, status, [noted])


@pytest.mark.parametrize("status", Status)
def test_reservation_that_ran_out_ends_the_order(status: Status) -> None:
    was = an_order(status=status, version=7)

    if Status.CANCELLED in MOVES[status]:
        ended = OrderCancelled(CancelReason.EXPIRED)
        assert _is(settlement.expire(was), Status.CANCELLED, [ended], compensation(status))
    else:
        with pytest.raises(IllegalMove):
            settlement.expire(was)
