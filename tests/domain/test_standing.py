"""Each reason that keeps work from being done, and which of several is told."""

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from domain.attempt import EVERY_GATEWAY_OUT
from domain.explain import explain
from domain.explanation import Code, Explanation, Facts, Owner, QueueState
from domain.funds import AttemptKind, AttemptState
from domain.status import Status
from domain.task import Kind, Queue, State
from tests.domain.facts import (
    ATTEMPT,
    EARLIER,
    JUST_NOW,
    LATER,
    NOON,
    SOON,
    attempt,
    breaker,
    facts,
    work,
)

BY_ITSELF = "none: it goes on by itself"
PAUSED = {Queue.PAYMENTS: QueueState(paused=True)}
FULL = {Queue.PAYMENTS: QueueState(running_max=4, running=4)}
UNKNOWN = attempt(state=AttemptState.UNKNOWN, error="The gateway did not answer in time.")
# One second beyond what rings and sweeps take.
LONG_AGO = NOON - timedelta(seconds=11)


def test_queue_that_is_paused_waits_for_staff() -> None:
    found = explain(facts(Status.RESERVED, work(Kind.CHARGE), queues=PAUSED))

    assert found == Explanation(
        sentence="The reserved order waits since 2026-11-21T11:59:55Z for the"
        " payment of 10.00 GBP: queue payments is paused until staff resumes it,"
        " PUT /v1/queues/payments.",
        since=JUST_NOW,
        owner=Owner.STAFF,
        action="PUT /v1/queues/payments",
        code=Code.QUEUE_PAUSED,
        waits_for="the payment of 10.00 GBP",
    )


def test_pause_counts_also_before_the_work_is_due() -> None:
    found = explain(facts(Status.RESERVED, work(Kind.CHARGE, run_at=SOON), queues=PAUSED))

    assert (found.code, found.since) == (Code.QUEUE_PAUSED, EARLIER)


def test_pause_of_another_queue_holds_nothing() -> None:
    queues = {Queue.NOTIFICATIONS: QueueState(paused=True)}

    assert explain(facts(Status.RESERVED, work(Kind.CHARGE), queues=queues)).code is Code.DUE


def test_queue_at_its_limit_goes_on_by_itself() -> None:
    found = explain(facts(Status.RESERVED, work(Kind.CHARGE, run_at=LONG_AGO), queues=FULL))

    assert (found.code, found.owner, found.since) == (Code.QUEUE_FULL, Owner.PLATFORM, LONG_AGO)
    assert found.action == f"{BY_ITSELF} when one of them ends"
    assert found.sentence.endswith("queue payments runs as many tasks as it may at a time, 4.")


def test_queue_below_its_limit_is_no_reason() -> None:
    queues = {Queue.PAYMENTS: QueueState(running_max=4, running=3)}

    assert explain(facts(Status.RESERVED, work(Kind.CHARGE), queues=queues)).code is Code.DUE


def test_open_breaker_holds_a_payment_until_the_gateway_is_tried_again() -> None:
    waiting = work(Kind.CHARGE, run_at=SOON, attempt=1)

    found = explain(facts(Status.RESERVED, waiting, attempts=[UNKNOWN], breakers=[breaker("open")]))

    assert found == Explanation(
        sentence="The reserved order waits since 2026-11-21T11:59:55Z for stripe to say whether the"
        " payment of 10.00 GBP happened: stripe is out of service until tried again at"
        " 2026-11-21T12:00:25Z.",
        since=JUST_NOW,
        owner=Owner.GATEWAY,
        action=f"{BY_ITSELF} once stripe answers",
        code=Code.GATEWAY_OUT_OF_SERVICE,
        waits_for="stripe to say whether the payment of 10.00 GBP happened",
        until=NOON + timedelta(seconds=25),
    )


@pytest.mark.parametrize(
    ("seconds_ago", "code"),
    [(39, Code.GATEWAY_OUT_OF_SERVICE), (41, Code.LOOKUP_SCHEDULED)],
)
def test_breaker_is_believed_for_its_time_and_a_little_more(seconds_ago: int, code: Code) -> None:
    opened = breaker("open", since=NOON - timedelta(seconds=seconds_ago))
    waiting = work(Kind.CHARGE, run_at=SOON, attempt=1)

    assert (
        explain(facts(Status.RESERVED, waiting, attempts=[UNKNOWN], breakers=[opened])).code is code
    )


def test_gateway_that_is_on_trial_is_told_of() -> None:
    waiting = work(Kind.CHARGE, run_at=SOON, attempt=1)

    found = explain(
        facts(Status.RESERVED, waiting, attempts=[UNKNOWN], breakers=[breaker("half-open")])
    )

    assert (found.code, found.owner) == (Code.GATEWAY_ON_TRIAL, Owner.GATEWAY)
    assert "stripe was out of service, and one call at a time is tried" in found.sentence


@pytest.mark.parametrize("other", [breaker("open", "adyen"), breaker("closed")])
def test_breaker_of_another_gateway_or_a_closed_one_is_no_reason(other: object) -> None:
    waiting = work(Kind.CHARGE, run_at=SOON, attempt=1)
    told = facts(Status.RESERVED, waiting, attempts=[UNKNOWN], breakers=[other])  # pyright: ignore[reportArgumentType] - parametrized

    assert explain(told).code is Code.LOOKUP_SCHEDULED


def test_new_payment_waits_while_every_gateway_is_out() -> None:
    out = [breaker("open", "stripe"), breaker("open", "adyen")]
    waiting = work(Kind.CHARGE, run_at=SOON, attempt=1, last_error=EVERY_GATEWAY_OUT)

    found = explain(facts(Status.RESERVED, waiting, breakers=out))

    assert found.code is Code.GATEWAY_OUT_OF_SERVICE
    assert ": adyen and stripe are out of service" in found.sentence


def test_new_payment_goes_to_another_gateway_while_one_is_out() -> None:
    assert (
        explain(facts(Status.RESERVED, work(Kind.CHARGE), breakers=[breaker("open")])).code
        is Code.DUE
    )


def test_failed_work_waits_for_its_next_try() -> None:
    waiting = work(Kind.RESERVE, run_at=SOON, attempt=3, attempts_max=8, last_error="Deadlock.")

    found = explain(facts(Status.PLACED, waiting))

    assert found == Explanation(
        sentence="The placed order waits since 2026-11-21T11:00:00Z for the reservation of its"
        " stock: it is tried again at 2026-11-21T12:00:05Z, as try 3 of 8 ended"
        ' with "Deadlock".',
        since=EARLIER,
        owner=Owner.PLATFORM,
        action=f"{BY_ITSELF} at 2026-11-21T12:00:05Z",
        code=Code.RETRY_SCHEDULED,
        waits_for="the reservation of its stock",
        until=SOON,
    )


@pytest.mark.parametrize(("attempt", "attempts_max", "spent"), [(1, 21, 0), (4, 22, 2)])
def test_work_that_waited_for_a_breaker_has_spent_no_try_by_it(
    attempt: int, attempts_max: int, spent: int
) -> None:
    error = "stripe is out of service: its breaker is open."
    held = work(
        Kind.CHARGE, run_at=SOON, last_error=error, attempt=attempt, attempts_max=attempts_max
    )

    found = explain(facts(Status.RESERVED, held))

    assert found.code is Code.RETRY_SCHEDULED
    assert found.sentence.endswith(
        ': it is looked at again at 2026-11-21T12:00:05Z after "stripe is out of service: its'
        f' breaker is open", and {spent} of its 20 tries are spent.'
    )


def test_payment_that_never_left_is_tried_again_with_the_gateway_to_blame() -> None:
    created = attempt(state=AttemptState.CREATED, sent_at=None, error="No connection.")
    waiting = work(Kind.CHARGE, run_at=SOON, attempt=1, last_error="No connection.")

    found = explain(facts(Status.RESERVED, waiting, attempts=[created]))

    assert (found.code, found.owner, found.until) == (Code.RETRY_SCHEDULED, Owner.GATEWAY, SOON)
    assert found.waits_for == "the payment of 10.00 GBP"


@pytest.mark.parametrize("state", [AttemptState.SENT, AttemptState.UNKNOWN])
def test_payment_whose_outcome_is_unknown_is_asked_after(state: AttemptState) -> None:
    asked = attempt(state=state, error="The gateway did not answer in time.")
    waiting = work(Kind.CHARGE, run_at=SOON, attempt=2)

    found = explain(facts(Status.RESERVED, waiting, attempts=[asked]))

    assert (found.code, found.owner) == (Code.LOOKUP_SCHEDULED, Owner.GATEWAY)
    assert (found.since, found.until) == (EARLIER, SOON)
    assert found.sentence == (
        "The reserved order waits since 2026-11-21T11:00:00Z for stripe to say whether the payment"
        " of 10.00 GBP happened: it is asked again at 2026-11-21T12:00:05Z after"
        ' "The gateway did not answer in time".'
    )


def test_work_in_a_workers_hands_is_left_alone() -> None:
    busy = work(Kind.CHARGE, State.RUNNING, attempt=1, started_at=JUST_NOW, lease_until=SOON)
    sent = attempt(state=AttemptState.SENT, sent_at=JUST_NOW)

    found = explain(facts(Status.RESERVED, busy, attempts=[sent], queues=PAUSED))

    assert (found.code, found.since, found.until) == (Code.RUNNING, JUST_NOW, SOON)
    assert found.sentence == (
        "The reserved order waits since 2026-11-21T11:59:55Z for the payment of 10.00 GBP:"
        " a worker is busy with it and has until 2026-11-21T12:00:05Z."
    )


def test_work_of_a_lost_worker_is_taken_over_by_itself() -> None:
    lost = work(Kind.CHARGE, State.RUNNING, started_at=EARLIER, lease_until=JUST_NOW)

    found = explain(facts(Status.RESERVED, lost))

    assert (found.code, found.owner, found.since) == (Code.WORKER_LOST, Owner.PLATFORM, JUST_NOW)
    assert found.action == BY_ITSELF
    assert "is lost, and another one takes over within seconds" in found.sentence


def test_lost_work_that_nobody_takes_back_wants_a_clock() -> None:
    lost = work(Kind.CHARGE, State.RUNNING, started_at=EARLIER, lease_until=LONG_AGO)

    found = explain(facts(Status.RESERVED, lost))

    assert (found.code, found.owner) == (Code.WORKER_LOST, Owner.STAFF)
    assert found.action == "start a clock process"


@pytest.mark.parametrize(
    ("seconds_ago", "code", "action"),
    [(10, Code.DUE, BY_ITSELF), (11, Code.NO_WORKER, "start a worker process")],
)
def test_due_work_that_nobody_takes_wants_a_worker(
    seconds_ago: int, code: Code, action: str
) -> None:
    due = work(Kind.RESERVE, run_at=NOON - timedelta(seconds=seconds_ago))

    found = explain(facts(Status.PLACED, due))

    assert (found.code, found.action, found.since) == (code, action, due.run_at)
    assert ("no worker process seems to run for queue inventory" in found.sentence) is (
        code is Code.NO_WORKER
    )


def test_work_that_was_given_up_waits_for_staff() -> None:
    dead = work(
        Kind.RESERVE, State.DEAD, attempt=8, finished_at=JUST_NOW, last_error="Broken.\nTwice."
    )

    found = explain(facts(Status.PLACED, dead))

    assert found == Explanation(
        sentence="The placed order waits since 2026-11-21T11:59:55Z for the reservation of its"
        ' stock: it was given up after 8 tries with "Broken. Twice", and staff has'
        " to have it tried again, POST /v1/tasks/12/replay, or give it up,"
        " POST /v1/tasks/12/discard.",
        since=JUST_NOW,
        owner=Owner.STAFF,
        action="POST /v1/tasks/12/replay",
        code=Code.DEAD_TASK,
        waits_for="the reservation of its stock",
    )


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (AttemptKind.CAPTURE, "the capture of 3.00 GBP"),
        (AttemptKind.VOID, "the release of 3.00 GBP"),
        (AttemptKind.REFUND, "the refund of 3.00 GBP"),
    ],
)
def test_what_was_asked_for_of_a_paid_order_is_told(kind: AttemptKind, told: str) -> None:
    asked = attempt(kind, AttemptState.CREATED, amount_minor=300, sent_at=None)
    task = work(Kind(kind.value), payload={"attempt_id": str(ATTEMPT)})

    found = explain(facts(Status.PAID, task, attempts=[asked]))

    assert (found.code, found.waits_for) == (Code.DUE, told)
    assert found.sentence.startswith(
        f"The paid order waits since 2026-11-21T11:59:55Z for {told}: "
    )


def test_payment_that_is_open_goes_before_what_waits_for_it() -> None:
    first = attempt(AttemptKind.REFUND, AttemptState.UNKNOWN, amount_minor=300)
    second = attempt(AttemptKind.CAPTURE, AttemptState.CREATED, id=UUID(int=9))
    asking = work(Kind.REFUND, id=20, payload={"attempt_id": str(first.id)}, run_at=LATER)
    waiting = work(Kind.CAPTURE, id=10, payload={"attempt_id": str(second.id)}, run_at=SOON)

    found = explain(facts(Status.PAID, waiting, asking, attempts=[first, second]))

    assert found.waits_for == "stripe to say whether the refund of 3.00 GBP happened"
    assert found.until == LATER


def test_finished_work_of_another_status_holds_nothing() -> None:
    stale = [work(Kind.RESERVE), work(Kind.CHARGE), work(Kind.UNDO_PAYMENT)]
    told: Facts = facts(Status.SHIPPED, *stale, attempts=[attempt()])

    assert explain(told).code is Code.SHIPPED


def test_gateway_that_staff_took_out_of_service_waits_for_staff() -> None:
    waiting = work(Kind.CHARGE, payload={"attempt_id": str(UNKNOWN.id)})
    held = msgspec.structs.replace(breaker("open"), forced=True)

    found = explain(facts(Status.RESERVED, waiting, attempts=[UNKNOWN], breakers=[held]))

    assert (found.code, found.owner) == (Code.GATEWAY_OUT_OF_SERVICE, Owner.STAFF)
    assert found.action == "PUT /v1/gateways/stripe/breaker"
    assert "staff has taken stripe out of service" in found.sentence
