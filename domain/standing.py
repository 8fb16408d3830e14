"""How a task stands: what keeps it, since when, whose move it is, and what may be done."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from domain.attempt import EVERY_GATEWAY_OUT
from domain.explanation import (
    BreakerState,
    Code,
    DatedAttempt,
    Facts,
    Owner,
    QueueState,
    Work,
    iso,
    quoted,
)
from domain.funds import OPEN
from domain.holding import GIVING_BACK, attempt_of, refusals
from domain.task import ATTEMPTS_MAX, QUEUE_OF, State

# Rings and sweeps reach due work within a second or two; later than this nobody seems to look.
OVERDUE = timedelta(seconds=10)

# An open breaker is told of only when it changes: one whose process is gone is not believed for
# much longer than it would have refused calls.
BREAKER_SLACK = timedelta(seconds=10)

BY_ITSELF = "none: it goes on by itself"


class Standing(msgspec.Struct, frozen=True):
    """Why a task is not done; `clause` goes on after "waits since … for …: "."""

    code: Code
    clause: str
    since: datetime
    owner: Owner = Owner.PLATFORM
    action: str = BY_ITSELF
    until: datetime | None = None


def standing(task: Work, facts: Facts) -> Standing:
    """Say why a task is not done.

    Of several reasons it is the one that must go first: it was given up, a worker has it, its
    queue is paused, its gateway is out of service, its time has not come, its queue is at its
    limit, nobody took it.
    """
    if task.state is State.DEAD:
        return _dead(task, facts)
    if task.state is State.RUNNING:
        return _running(task, facts.now)
    queue = facts.queues.get(QUEUE_OF[task.kind], QueueState())
    if queue.paused:
        return _paused(task, facts.now)
    if refusing := _refusing(task, facts):
        return _out_of_service(task, refusing)
    if task.run_at > facts.now:
        return _later(task, attempt_of(task, facts))
    return _due(task, queue, facts.now)


def _dead(task: Work, facts: Facts) -> Standing:
    replay = f"POST /v1/tasks/{task.id}/replay"
    return Standing(
        Code.DEAD_TASK,
        f"it was given up after {_tries(task, facts)} with {quoted(task.last_error)}, and staff has"
        f" to have it tried again, {replay}, or give it up, POST /v1/tasks/{task.id}/discard"
        f"{_otherwise(task, facts)}",
        task.finished_at or task.run_at,
        Owner.STAFF,
        replay,
    )


def _otherwise(task: Work, facts: Facts) -> str:
    """Say what else ends it: money that went back by other means."""
    if task.kind not in GIVING_BACK or not facts.funds().refundable:
        return ""
    return f"; what went back otherwise is written off, POST /v1/orders/{facts.order.id}/write-off"


def _tries(task: Work, facts: Facts) -> str:
    """Count what was tried: of money that goes back each refusal, whichever task asked for it."""
    refused = refusals(facts) if task.kind in GIVING_BACK else 0
    if refused:
        return "1 refusal" if refused == 1 else f"{refused} refusals"
    return "1 try" if task.attempt == 1 else f"{task.attempt} tries"


def _running(task: Work, now: datetime) -> Standing:
    until = task.lease_until or task.run_at
    if until >= now:
        clause = f"a worker is busy with it and has until {iso(until)}"
        return Standing(Code.RUNNING, clause, task.started_at or task.run_at, until=until)
    lost = "the worker that was busy with it is lost"
    if now - until <= OVERDUE:
        clause = f"{lost}, and another one takes over within seconds"
        return Standing(Code.WORKER_LOST, clause, until)
    clause = f"{lost}, and no clock process seems to run, which gives it to another one"
    return Standing(Code.WORKER_LOST, clause, until, Owner.STAFF, "start a clock process")


def _paused(task: Work, now: datetime) -> Standing:
    queue = QUEUE_OF[task.kind]
    return Standing(
        Code.QUEUE_PAUSED,
        f"queue {queue} is paused until staff resumes it, PUT /v1/queues/{queue}",
        task.run_at if task.run_at <= now else task.created_at,
        Owner.STAFF,
        f"PUT /v1/queues/{queue}",
    )


def _refusing(task: Work, facts: Facts) -> Sequence[BreakerState]:
    """Find the breakers that keep a task from its gateway."""
    current = [
        b
        for b in facts.breakers
        if b.state != "closed" and b.since <= facts.now <= b.until + BREAKER_SLACK
    ]
    attempt = attempt_of(task, facts)
    if attempt is not None:
        return [b for b in current if b.gateway == attempt.gateway]
    return current if task.last_error == EVERY_GATEWAY_OUT else []


def _out_of_service(task: Work, refusing: Sequence[BreakerState]) -> Standing:
    gateways = sorted({b.gateway for b in refusing})
    names, one = " and ".join(gateways), len(gateways) == 1
    action = f"{BY_ITSELF} once {names} {'answers' if one else 'answer'}"
    if held := next((b for b in refusing if b.forced), None):
        switch = f"PUT /v1/gateways/{held.gateway}/breaker"
        clause = f"staff has taken {held.gateway} out of service until they release it, {switch}"
        code = Code.GATEWAY_OUT_OF_SERVICE
        return Standing(code, clause, held.since, Owner.STAFF, switch)
    shut = [b for b in refusing if b.state == "open"]
    if not shut:
        clause = (
            f"{names} {'was' if one else 'were'} out of service, and one call at a time is tried"
        )
        since = min(b.since for b in refusing)
        return Standing(Code.GATEWAY_ON_TRIAL, clause, since, Owner.GATEWAY, action, task.run_at)
    until = max(task.run_at, *(b.until for b in shut))
    clause = f"{names} {'is' if one else 'are'} out of service until tried again at {iso(until)}"
    since = min(b.since for b in shut)
    return Standing(Code.GATEWAY_OUT_OF_SERVICE, clause, since, Owner.GATEWAY, action, until)


def _later(task: Work, attempt: DatedAttempt | None) -> Standing:
    owner = Owner.PLATFORM if attempt is None else Owner.GATEWAY
    action, at = f"{BY_ITSELF} at {iso(task.run_at)}", iso(task.run_at)
    if attempt is not None and attempt.state in OPEN:
        said = f" after {quoted(attempt.error)}" if attempt.error else ""
        clause = f"it is asked again at {at}{said}"
        since = attempt.sent_at or task.created_at
        return Standing(Code.LOOKUP_SCHEDULED, clause, since, owner, action, task.run_at)
    clause = f"it {_again(task, at)}" if task.attempt else f"it starts at {at}"
    return Standing(Code.RETRY_SCHEDULED, clause, task.created_at, owner, action, task.run_at)


def _again(task: Work, at: str) -> str:
    """Say when a task is tried again; what it waited in vain for has cost it no try."""
    waited = max(0, task.attempts_max - ATTEMPTS_MAX[task.kind])
    error = quoted(task.last_error)
    if not waited:
        tried = f"try {task.attempt} of {task.attempts_max}"
        return f"is tried again at {at}, as {tried} ended with {error}"
    spent = f"{task.attempt - waited} of its {ATTEMPTS_MAX[task.kind]} tries are spent"
    return f"is looked at again at {at} after {error}, and {spent}"


def _due(task: Work, queue: QueueState, now: datetime) -> Standing:
    name = QUEUE_OF[task.kind]
    if queue.running_max is not None and queue.running >= queue.running_max:
        clause = f"queue {name} runs as many tasks as it may at a time, {queue.running_max}"
        action = f"{BY_ITSELF} when one of them ends"
        return Standing(Code.QUEUE_FULL, clause, task.run_at, action=action)
    if now - task.run_at > OVERDUE:
        clause = f"no worker process seems to run for queue {name}"
        return Standing(Code.NO_WORKER, clause, task.run_at, Owner.STAFF, "start a worker process")
    return Standing(Code.DUE, "a worker takes it at any moment", task.run_at)
