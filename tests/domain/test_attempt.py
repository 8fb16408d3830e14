"""What a payment task does next, and what each outcome makes of its attempt and its task."""

from itertools import product

import pytest

from db.ids import new_id
from domain.attempt import Attempt, AttemptState, Payable, Step, next_step, state_after, verdict
from domain.money import Money
from domain.payment import Charge, Declined, Outcome, Refund, Succeeded, Unknown, Unsent
from domain.status import Status
from domain.task import DONE, LOOKUP_AFTER_S, Kind, State
from tests.builders import a_task

ORDER, LIVE, FRESH = new_id(), new_id(), new_id()
TOTAL = Money(1000, "GBP")
# A declined attempt is not live: a new one may follow.
LIVE_STATES = [state for state in AttemptState if state is not AttemptState.DECLINED]
UNCERTAIN = (AttemptState.SENT, AttemptState.UNKNOWN)
CHARGE = Charge(LIVE, ORDER, TOTAL, "pm_card_visa")
REFUND = Refund(LIVE, ORDER, TOTAL, "pi_1")


def _attempt(state: AttemptState | None, gateway_ref: str | None = None) -> Attempt | None:
    return None if state is None else Attempt(LIVE, state, gateway_ref)


def _step(call: Charge | Refund, was: AttemptState | None, *, attempt: int = 1) -> Step:
    return Step(a_task(attempt=attempt, attempts_max=5), call, was, ask_first=was in UNCERTAIN)


@pytest.mark.parametrize(("status", "state"), list(product(Status, [None, *LIVE_STATES])))
def test_charge_is_made_only_for_reserved_orders_and_asked_after_for_all(
    status: Status, state: AttemptState | None
) -> None:
    task = a_task(Kind.CHARGE)
    payable = Payable(ORDER, status, TOTAL, "pm_card_visa", charge=_attempt(state))

    step = next_step(task, payable, FRESH)

    if state in UNCERTAIN:
        assert step == Step(task, CHARGE, state, ask_first=True)
    elif status is not Status.RESERVED or state is AttemptState.SUCCEEDED:
        assert step is None
    else:
        attempt_id = FRESH if state is None else LIVE
        call = Charge(attempt_id, ORDER, TOTAL, "pm_card_visa")
        assert step == Step(task, call, state, ask_first=False)


@pytest.mark.parametrize(("status", "state"), list(product(Status, [None, *LIVE_STATES])))
def test_refund_is_made_whatever_the_status_until_it_succeeded(
    status: Status, state: AttemptState | None
) -> None:
    task = a_task(Kind.REFUND)
    paid = Attempt(new_id(), AttemptState.SUCCEEDED, "pi_1")
    payable = Payable(ORDER, status, TOTAL, "pm_card_visa", charge=paid, refund=_attempt(state))

    step = next_step(task, payable, FRESH)

    if state is AttemptState.SUCCEEDED:
        assert step is None
    else:
        attempt_id = FRESH if state is None else LIVE
        call = Refund(attempt_id, ORDER, TOTAL, "pi_1")
        assert step == Step(task, call, state, ask_first=False)


@pytest.mark.parametrize("state", [None, *LIVE_STATES])
def test_without_a_captured_charge_there_is_nothing_to_refund(state: AttemptState | None) -> None:
    charge = _attempt(state, gateway_ref=None)
    payable = Payable(ORDER, Status.CANCELLED, TOTAL, "pm_card_visa", charge=charge)

    assert next_step(a_task(Kind.REFUND), payable, FRESH) is None


@pytest.mark.parametrize("was", [None, *LIVE_STATES])
@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Succeeded("pi_1"), AttemptState.SUCCEEDED),
        (Declined("card_declined"), AttemptState.DECLINED),
        (Unknown("timeout"), AttemptState.UNKNOWN),
    ],
)
def test_answer_settles_an_attempt_whatever_it_was(
    was: AttemptState | None, outcome: Outcome, state: AttemptState
) -> None:
    assert state_after(_step(CHARGE, was), outcome) is state


@pytest.mark.parametrize("was", [None, AttemptState.CREATED])
def test_charge_that_never_left_is_known_not_to_have_happened(was: AttemptState | None) -> None:
    assert state_after(_step(CHARGE, was), Unsent("refused")) is AttemptState.CREATED


@pytest.mark.parametrize("was", UNCERTAIN)
def test_lookup_that_never_left_leaves_the_charge_unknown(was: AttemptState) -> None:
    assert state_after(_step(CHARGE, was), Unsent("refused")) is AttemptState.UNKNOWN


@pytest.mark.parametrize("call", [CHARGE, REFUND])
def test_success_ends_the_task(call: Charge | Refund) -> None:
    assert verdict(_step(call, None), Succeeded("x"), chance=0.5) == DONE


def test_declined_charge_is_an_answer_but_a_declined_refund_wants_a_person() -> None:
    declined = Declined("expired_card")

    assert verdict(_step(CHARGE, None), declined, chance=0.5) == DONE
    refund = verdict(_step(REFUND, None), declined, chance=0.5)
    assert refund.state is State.DEAD
    assert refund.error == "The gateway refused the refund: expired_card."


@pytest.mark.parametrize("attempt", [1, 2, 3, 4])
def test_unknown_outcome_is_looked_up_on_schedule(attempt: int) -> None:
    later = verdict(_step(CHARGE, None, attempt=attempt), Unknown("timeout"), chance=0.9)

    assert (later.state, later.error) == (State.READY, "timeout")
    assert later.delay_s == LOOKUP_AFTER_S[attempt - 1]


def test_call_that_never_left_is_tried_again_with_jitter() -> None:
    again = verdict(_step(CHARGE, None, attempt=3), Unsent("refused"), chance=0.5)

    assert (again.state, again.error, again.delay_s) == (State.READY, "refused", 2.0)


@pytest.mark.parametrize("outcome", [Unknown("timeout"), Unsent("refused")])
def test_payment_without_an_answer_is_dead_after_its_last_attempt(outcome: Outcome) -> None:
    assert verdict(_step(CHARGE, None, attempt=5), outcome, chance=0.5).state is State.DEAD
