"""Tasks: the kinds of work, their queues, and when failed work is tried again."""

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

import msgspec

from domain.refusal import Refusal


class Queue(StrEnum):
    """One queue per stage, so that a slow outsider holds up only its own stage."""

    INVENTORY = "inventory"
    PAYMENTS = "payments"
    SHIPPING = "shipping"
    NOTIFICATIONS = "notifications"
    WEBHOOKS = "webhooks"
    HOUSEKEEPING = "housekeeping"
    RECONCILIATION = "reconciliation"


class Kind(StrEnum):
    RESERVE = "reserve"
    FILL_BACKORDERS = "fill_backorders"
    CHARGE = "charge"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    UNDO_PAYMENT = "undo_payment"
    RECONCILE = "reconcile"
    NOTIFY = "notify"
    NOTIFY_ACCOUNT = "notify_account"
    PRUNE = "prune"
    IMPORT = "import"


class State(StrEnum):
    READY = "ready"  # to be claimed once run_at has passed
    RUNNING = "running"  # a worker holds it until lease_until
    DONE = "done"  # its effect is committed
    DEAD = "dead"  # out of attempts; waits for a person
    CANCELLED = "cancelled"  # a person discarded it


class Notice(StrEnum):
    """What a notification tells."""

    ORDER_CONFIRMED = "order_confirmed"
    ORDER_BACKORDERED = "order_backordered"
    ORDER_CANCELLED = "order_cancelled"


QUEUE_OF: Mapping[Kind, Queue] = {
    Kind.RESERVE: Queue.INVENTORY,
    Kind.FILL_BACKORDERS: Queue.INVENTORY,
    Kind.CHARGE: Queue.PAYMENTS,
    Kind.CAPTURE: Queue.PAYMENTS,
    Kind.VOID: Queue.PAYMENTS,
    Kind.REFUND: Queue.PAYMENTS,
    Kind.UNDO_PAYMENT: Queue.PAYMENTS,
    Kind.RECONCILE: Queue.RECONCILIATION,
    Kind.NOTIFY: Queue.NOTIFICATIONS,
    Kind.NOTIFY_ACCOUNT: Queue.NOTIFICATIONS,
    Kind.PRUNE: Queue.HOUSEKEEPING,
    Kind.IMPORT: Queue.HOUSEKEEPING,
}

# A pure database step fails only by bug or outage: eight tries span a minute on average.
# Outsiders may be away for long: with the hourly cap, sixty tries span a day on average. What is
# open at the gateway is asked after without end, and so is what waits for something else.
ATTEMPTS_MAX: Mapping[Kind, int] = {
    Kind.RESERVE: 8,
    Kind.FILL_BACKORDERS: 8,
    Kind.CHARGE: 20,
    Kind.CAPTURE: 20,
    Kind.VOID: 60,
    Kind.REFUND: 60,
    Kind.UNDO_PAYMENT: 8,
    Kind.RECONCILE: 20,
    Kind.NOTIFY: 60,
    Kind.NOTIFY_ACCOUNT: 60,
    Kind.PRUNE: 3,
    Kind.IMPORT: 8,
}

# Full jitter (Brooker, "Exponential Backoff and Jitter", AWS 2015), in seconds.
BACKOFF_FIRST_S = 1.0
BACKOFF_MAX_S = 3600.0

# When an unknown payment is asked after, each after the one before; the last step repeats.
LOOKUP_AFTER_S = (5.0, 30.0, 120.0, 600.0, 3600.0)
# The look at the end of a gateway's window is after it, whichever clock is a little behind.
WINDOW_SLACK_S = 1.0


# Their calls may have moved money that nobody has heard of.
AT_THE_GATEWAY = frozenset({Kind.CHARGE, Kind.CAPTURE, Kind.VOID, Kind.REFUND})


# In the payload: the attempt is settled, and its task only looks whether that was right.
LOOK_AGAIN = "look_again"
# With it: until when, as a date of ISO 8601; without it once.
LOOK_UNTIL = "until"
LOOK_AGAIN_S = 3600.0
# In the payload: what a person says the gateway calls the payment. It is looked up by that name
# until the gateway answers, so often; while it is out of service its breaker says when.
NAMED = "gateway_ref"
NAMED_AGAIN_S = 120.0
# In the payload: a person had the task tried afresh.
REPLAYED = "replayed"


class TaskNotDead(Refusal):
    """The task is still to be done, or has ended."""

    code: ClassVar[str] = "task_not_dead"


class NewTask(msgspec.Struct, frozen=True):
    """Work to be written with its cause."""

    kind: Kind
    payload: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])


class Task(msgspec.Struct, frozen=True):
    """Claimed work; `attempt` is its fencing token.

    It is `begun` if somebody ran it before and left no result. Of a stage that touches only
    Postgres it is so too if its last attempt failed. It was due for `waited_s`.
    """

    id: int
    kind: Kind
    order_id: UUID | None
    payload: Mapping[str, str]
    attempt: int
    attempts_max: int
    traceparent: str | None = None
    begun: bool = False
    waited_s: float = 0.0


class Verdict(msgspec.Struct, frozen=True):
    """How an attempt ended; `delay_s` counts for READY only.

    One that is not `spent` gives the task one more: the number of an attempt never goes back,
    as it is the fencing token.
    """

    state: State
    error: str | None = None
    delay_s: float = 0.0
    spent: bool = True


DONE = Verdict(State.DONE)


def retry(attempt: int, attempts_max: int, *, error: str, chance: float) -> Verdict:
    """Decide on a failed attempt (1-based): later, or dead once `attempts_max` are spent.

    `chance` in [0, 1) is the jitter, drawn by the caller.
    """
    if attempt >= attempts_max:
        return Verdict(State.DEAD, error)
    ceiling = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(attempt - 1, 20))
    return Verdict(State.READY, error, ceiling * chance)


def ask_later(age_s: float, *, error: str, window_s: float) -> Verdict:
    """Decide when an open payment is looked up next; it is for as long as it is open.

    By its age, since its task may have waited for other things as well. Each step is longer than
    all before it together, so that the age tells which ones are past. One look is at the end of
    the gateway's window, when what is still open is for a person to decide.
    """
    delay_s = next((step_s for step_s in LOOKUP_AFTER_S if step_s > age_s), LOOKUP_AFTER_S[-1])
    if age_s < window_s:
        delay_s = min(delay_s, window_s - age_s + WINDOW_SLACK_S)
    return Verdict(State.READY, error, delay_s, spent=False)


def after_crash(task: Task, *, error: str, chance: float) -> Verdict:
    """Decide on an attempt that raised or lost its worker: later, or dead once all are spent.

    Work that may have reached a gateway is never dead: it goes on hourly, since while nobody asks
    what became of the money the order cannot end. A poisoned one costs a worker an hour at most.
    """
    ended = retry(task.attempt, task.attempts_max, error=error, chance=chance)
    if ended.state is State.DEAD and task.kind in AT_THE_GATEWAY:
        return Verdict(State.READY, error, BACKOFF_MAX_S, spent=False)
    return ended


def refuse_living(task_id: int, state: State) -> None:
    """Raise TaskNotDead unless a task was given up, which alone a person replays or discards."""
    if state is not State.DEAD:
        raise TaskNotDead(f"Task {task_id} is {state}: only a dead one is replayed or discarded.")


def fresh_attempts_max(kind: Kind, attempt: int) -> int:
    """Give a task that was tried up to `attempt` as many attempts again as a new one has."""
    return attempt + ATTEMPTS_MAX[kind]
