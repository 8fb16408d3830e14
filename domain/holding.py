"""What holds an order up: its work and its money that are not settled, and what they bring."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from domain.explanation import DatedAttempt, Facts, Work
from domain.funds import OPEN, TAKING, AttemptKind, AttemptState
from domain.payment import NOT_FOUND, WITHDRAWN
from domain.status import Status
from domain.task import Kind, Notice, State

UNSETTLED = OPEN | {AttemptState.CREATED}

# What brings a cancelled order's money back.
GIVING_BACK = frozenset({Kind.UNDO_PAYMENT, Kind.VOID, Kind.REFUND})

_NOUN: Mapping[AttemptKind, str] = {
    AttemptKind.CHARGE: "payment",
    AttemptKind.AUTHORIZE: "authorization",
    AttemptKind.CAPTURE: "capture",
    AttemptKind.VOID: "release",
    AttemptKind.REFUND: "refund",
}


def holding(facts: Facts) -> list[Work]:
    """Give the tasks that hold the order up, the one that the others wait for first."""
    return by_need([task for task in facts.tasks if _holds(task, facts)], facts)


def by_need(tasks: Sequence[Work], facts: Facts) -> list[Work]:
    """Sort tasks: what an open payment waits for goes first, giving back what is left goes last."""

    def need(task: Work) -> tuple[bool, bool, datetime, int]:
        attempt = attempt_of(task, facts)
        goes_first = attempt is not None and attempt.state in OPEN
        return not goes_first, task.kind is Kind.UNDO_PAYMENT, task.run_at, task.id

    return sorted(tasks, key=need)


def _holds(task: Work, facts: Facts) -> bool:
    """Tell whether an order waits for a task; others find nothing to do once they run."""
    status, attempt = facts.order.status, attempt_of(task, facts)
    if attempt is not None and attempt.state in UNSETTLED:
        return True
    match task.kind:
        case Kind.RESERVE:
            return status in {Status.PLACED, Status.BACKORDERED}
        case Kind.FILL_BACKORDERS:
            return status is Status.BACKORDERED and not facts.order.waiting.short
        case Kind.CHARGE:
            return status is Status.RESERVED
        case Kind.UNDO_PAYMENT | Kind.VOID | Kind.REFUND if status is Status.CANCELLED:
            left = facts.funds()
            # Work that was given up holds nothing once the money came back by other ways.
            dead = task.state is State.DEAD
            return (owed(facts) if dead else left.capturable + left.refundable) > 0
        case _:
            return False


def unsettled(facts: Facts) -> DatedAttempt | None:
    """Find an attempt that has not ended, the one the others wait for if there are several."""
    left = [a for a in facts.attempts if a.state in UNSETTLED]
    return min(left, key=lambda a: a.state not in OPEN, default=None)


def owed(facts: Facts) -> int:
    """Sum up what a cancelled order's customer is to get back and nothing is under way for."""
    left = facts.funds()
    held = any(
        a.kind is AttemptKind.AUTHORIZE and (a.expires_at is None or a.expires_at > facts.now)
        for a in facts.attempts
    )
    return left.refundable + (left.capturable if held else 0)


def refusals(facts: Facts) -> int:
    """Count the refunds and releases that a gateway was asked for and refused."""
    asked_for = (a for a in facts.attempts if a.kind in {AttemptKind.VOID, AttemptKind.REFUND})
    unasked = {NOT_FOUND, WITHDRAWN}
    return sum(a.state is AttemptState.DECLINED and a.error not in unasked for a in asked_for)


def attempt_of(task: Work, facts: Facts) -> DatedAttempt | None:
    """Find the payment attempt that a task makes: its own, or the one that takes the money."""
    if named := task.payload.get("attempt_id"):
        return next((a for a in facts.attempts if a.id == UUID(named)), None)
    if task.kind is not Kind.CHARGE:
        return None
    standing = (a for a in facts.attempts if a.kind in TAKING)
    return next((a for a in standing if a.state is not AttemptState.DECLINED), None)


def what(task: Work, facts: Facts) -> str:
    """Say what a task brings, after "waits for"."""
    attempt = attempt_of(task, facts)
    # What was refused is planned afresh as long as the task is not given up.
    again = attempt and attempt.state is AttemptState.DECLINED and task.state is not State.DEAD
    match task.kind:
        case Kind.RESERVE:
            return "the reservation of its stock"
        case Kind.FILL_BACKORDERS:
            return "its stock, which is there, at its turn"
        case Kind.UNDO_PAYMENT | Kind.VOID | Kind.REFUND if attempt is None or again:
            return "the return of the customer's money"
        case Kind.NOTIFY:
            return f'its mail "{Notice(task.payload["notice"]).replace("_", " ")}"'
        case _ if attempt is None:
            return f"the payment of {facts.amount(facts.order.total.minor)}"
        case _:
            return _of_attempt(task, attempt, facts)


def _of_attempt(task: Work, attempt: DatedAttempt, facts: Facts) -> str:
    noun = f"{_NOUN[attempt.kind]} of {facts.amount(attempt.amount_minor)}"
    if attempt.state is AttemptState.UNKNOWN or (
        attempt.state is AttemptState.SENT and task.state is not State.RUNNING
    ):
        return f"{attempt.gateway} to say whether the {noun} happened"
    if attempt.state is AttemptState.DECLINED:
        return f"the {noun}, which {attempt.gateway} refused"
    # What takes money from the customer of a cancelled order is not wanted any more.
    taking = attempt.kind in TAKING | {AttemptKind.CAPTURE}
    if facts.order.status is Status.CANCELLED and taking:
        return f"the withdrawal of the {noun}"
    return f"the {noun}"
