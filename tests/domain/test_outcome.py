"""What each outcome of a call makes of its attempt and of its task."""

from collections.abc import Sequence
from itertools import product

import pytest

from db.ids import new_id
from domain.attempt import AGAIN, Step
from domain.funds import OPEN, AttemptKind, AttemptState
from domain.money import Money
from domain.outcome import state_after, verdict
from domain.payment import (
    NOT_FOUND,
    ActionRequired,
    Charge,
    Declined,
    Held,
    Outcome,
    Succeeded,
    Unknown,
    Unsent,
)
from domain.status import Status
from domain.task import ATTEMPTS_MAX, DONE, LOOKUP_AFTER_S, Kind, State, Task, Verdict
from tests.builders import a_task, an_attempt

RETURNING_KINDS = [AttemptKind.VOID, AttemptKind.REFUND]
OUTCOMES: Sequence[Outcome] = (
    Succeeded("pi_1"),
    ActionRequired("pi_1", "secret"),
    Declined("card_declined"),
    Declined(NOT_FOUND),
    Unknown("timeout"),
    Unsent("refused"),
    Held(3.0),
)


def a_step(  # noqa: PLR0913 - each is what some test is about
    kind: AttemptKind = AttemptKind.CHARGE,
    was: AttemptState = AttemptState.CREATED,
    *,
    status: Status = Status.RESERVED,
    wanted: bool = True,
    age_s: float = 0.0,
    task: Task | None = None,
) -> Step:
    """A step as it was decided; of its call only the amount counts here."""
    attempt = an_attempt(kind, was)
    call = Charge(attempt.id, new_id(), Money(1000, "GBP"), "pm_card_visa")
    return Step(
        task or a_task(),
        attempt,
        call,
        status,
        wanted=wanted,
        overdue=False,
        holds=False,
        keyed=True,
        age_s=age_s,
    )


@pytest.mark.parametrize(
    ("kind", "was", "outcome"),
    list(product(AttemptKind, [AttemptState.CREATED, *sorted(OPEN)], OUTCOMES)),
)
def test_outcome_settles_an_attempt_and_what_never_left_changes_none_that_is_open(
    kind: AttemptKind, was: AttemptState, outcome: Outcome
) -> None:
    state = state_after(a_step(kind, was), outcome)

    match outcome:
        case Succeeded():
            assert state is AttemptState.SUCCEEDED
        case Declined():
            assert state is AttemptState.DECLINED
        case ActionRequired():
            assert state is AttemptState.ACTION_REQUIRED
        case Unknown():
            theirs = was is AttemptState.ACTION_REQUIRED
            assert state is (was if theirs else AttemptState.UNKNOWN)
        case Unsent() | Held():
            lost = was is AttemptState.SENT
            assert state is (AttemptState.UNKNOWN if lost else was)


@pytest.mark.parametrize(
    ("kind", "was", "outcome"),
    list(product(AttemptKind, [AttemptState.CREATED, *sorted(OPEN)], OUTCOMES)),
)
def test_task_ends_exactly_when_its_attempt_does(
    kind: AttemptKind, was: AttemptState, outcome: Outcome
) -> None:
    step = a_step(kind, was)

    ended = verdict(step, outcome, chance=0.5)

    settled = state_after(step, outcome) in {AttemptState.SUCCEEDED, AttemptState.DECLINED}
    assert (ended == AGAIN) == (outcome == Declined(NOT_FOUND))
    assert (ended == DONE) == (settled and ended != AGAIN)
    assert ended.state is (State.DONE if ended == DONE else State.READY)


@pytest.mark.parametrize("attempt", [1, 5, 500])
@pytest.mark.parametrize("was", [AttemptState.CREATED, *sorted(OPEN)])
@pytest.mark.parametrize("outcome", [Unknown("timeout"), ActionRequired("pi_1", "secret")])
def test_open_payment_is_asked_after_by_its_age_and_without_end(
    attempt: int, was: AttemptState, outcome: Outcome
) -> None:
    for age_s, delay_s in [(0, 5), (5, 30), (35, 120), (155, 600), (755, 3600), (9999, 3600)]:
        step = a_step(was=was, age_s=age_s, task=a_task(attempt=attempt, attempts_max=5))

        later = verdict(step, outcome, chance=0.9)

        assert (later.state, later.delay_s, later.spent) == (State.READY, delay_s, False)
        assert later.error


@pytest.mark.parametrize("was", sorted(OPEN))
def test_lookup_that_never_left_is_made_again_on_schedule(was: AttemptState) -> None:
    later = verdict(a_step(was=was, age_s=6), Unsent("refused"), chance=0.9)

    assert later == Verdict(State.READY, "refused", LOOKUP_AFTER_S[1], spent=False)


def test_call_that_never_left_is_tried_again_with_jitter_until_its_tries_are_spent() -> None:
    third, last = a_task(attempt=3, attempts_max=5), a_task(attempt=5, attempts_max=5)
    refused = Unsent("refused")

    again = verdict(a_step(task=third), refused, chance=0.5)
    dead = verdict(a_step(task=last), refused, chance=0.5)

    assert again == Verdict(State.READY, "refused", 2.0)
    assert dead == Verdict(State.DEAD, "refused")


def test_tries_that_were_spent_waiting_neither_count_nor_slow_down_the_next() -> None:
    tries_max = ATTEMPTS_MAX[Kind.CHARGE]
    waited = a_task(attempt=101, attempts_max=tries_max + 100)

    again = verdict(a_step(task=waited), Unsent("refused"), chance=0.5)

    assert again == Verdict(State.READY, "refused", 0.5)


@pytest.mark.parametrize("was", [AttemptState.CREATED, *sorted(OPEN)])
def test_open_breaker_costs_no_try(was: AttemptState) -> None:
    out = "stripe is out of service: its breaker is open."

    held = verdict(a_step(was=was, task=a_task(attempt=5, attempts_max=5)), Held(7.5), chance=0.5)

    assert held == Verdict(State.READY, out, 7.5, spent=False)


@pytest.mark.parametrize(("kind", "status"), list(product(AttemptKind, Status)))
def test_refusal_of_what_a_cancelled_order_is_owed_wants_a_person(
    kind: AttemptKind, status: Status
) -> None:
    ended = verdict(a_step(kind, status=status), Declined("expired"), chance=0.5)

    if status is Status.CANCELLED and kind in RETURNING_KINDS:
        assert ended == Verdict(State.DEAD, f"The gateway refused the {kind}: expired.")
    else:
        assert ended == DONE


@pytest.mark.parametrize("kind", AttemptKind)
def test_what_was_not_found_is_decided_again_if_it_is_still_wanted(kind: AttemptKind) -> None:
    missing = Declined(NOT_FOUND)

    assert verdict(a_step(kind), missing, chance=0.5) == AGAIN
    assert verdict(a_step(kind, wanted=False), missing, chance=0.5) == DONE
