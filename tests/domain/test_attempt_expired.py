"""What a payment task does next for an order whose reservation is over."""

from datetime import UTC, datetime, timedelta

import pytest

from db.ids import new_id
from domain.attempt import Decision, Step, Window, Withdrawal, next_step
from domain.funds import OPEN, Attempt, AttemptKind, AttemptState, Payable
from domain.status import Status
from domain.task import DONE, Kind, Task
from tests.builders import a_payable, a_task, an_attempt

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
JUST_SENT = NOW - timedelta(seconds=5)


def _reserved(until: datetime, *attempts: Attempt) -> Payable:
    return a_payable(*attempts, status=Status.RESERVED, reserved_until=until)


def _next(task: Task, payable: Payable, *, gateway: str | None = "stripe") -> Decision:
    return next_step(task, payable, fresh=new_id(), gateway=gateway, window=Window(NOW, HOUR))


@pytest.mark.parametrize("kind", [AttemptKind.CHARGE, AttemptKind.AUTHORIZE])
def test_order_that_is_out_of_time_is_not_charged_any_more(kind: AttemptKind) -> None:
    unsent = an_attempt(kind, AttemptState.CREATED)
    task = a_task()

    for gateway in ("stripe", None):
        fresh = _next(task, _reserved(NOW), gateway=gateway)
        declined = _next(task, _reserved(NOW, an_attempt(kind, AttemptState.DECLINED)))
        assert (fresh, declined) == (DONE, DONE)
        assert _next(task, _reserved(NOW, unsent), gateway=gateway) == Withdrawal(task, unsent.id)
    assert isinstance(_next(task, _reserved(NOW + timedelta(seconds=1))), Step)


@pytest.mark.parametrize("state", sorted(OPEN))
@pytest.mark.parametrize(("left", "keyed"), [(timedelta(seconds=1), True), (timedelta(), False)])
def test_charge_of_an_order_that_is_out_of_time_is_asked_after_and_not_sent_again(
    state: AttemptState, left: timedelta, *, keyed: bool
) -> None:
    sent = an_attempt(state=state, sent_at=JUST_SENT)

    step = _next(a_task(), _reserved(NOW + left, sent))

    assert isinstance(step, Step)
    assert (step.attempt, step.ask_first, step.keyed) == (sent, True, keyed)
    # A payment that waits for its customer is ended with the order, by the clock.
    assert step.wanted


@pytest.mark.parametrize("kind", [AttemptKind.CAPTURE, AttemptKind.REFUND])
def test_end_of_the_reservation_means_nothing_to_an_order_that_is_paid(kind: AttemptKind) -> None:
    asked = an_attempt(kind, AttemptState.UNKNOWN, 300, sent_at=JUST_SENT)

    task = a_task(Kind(kind.value), payload={"attempt_id": str(asked.id)})

    step = _next(task, a_payable(an_attempt(), asked, reserved_until=NOW - HOUR))

    assert isinstance(step, Step)
    assert step.keyed
