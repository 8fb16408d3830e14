"""Payment attempts: what a payment task does next, and what an outcome makes of an attempt."""

from enum import StrEnum
from uuid import UUID

import msgspec

from domain.money import Money
from domain.payment import Charge, Declined, Outcome, Refund, Succeeded, Unknown, Unsent
from domain.status import Status
from domain.task import DONE, Kind, State, Task, Verdict, ask_later, retry


class AttemptKind(StrEnum):
    CHARGE = "charge"
    REFUND = "refund"


class AttemptState(StrEnum):
    CREATED = "created"  # written; known not to have reached the gateway
    SENT = "sent"  # committed before the call, so the call may have happened
    UNKNOWN = "unknown"  # the call happened and its outcome is open
    SUCCEEDED = "succeeded"  # the gateway moved the money
    DECLINED = "declined"  # the gateway's definite no


class Attempt(msgspec.Struct, frozen=True):
    """One operation at the gateway; `id` is its idempotency key there."""

    id: UUID
    state: AttemptState
    gateway_ref: str | None


class Payable(msgspec.Struct, frozen=True):
    """What a payment task needs to know of its order, with its live attempts."""

    order_id: UUID
    status: Status
    total: Money
    payment_method: str
    charge: Attempt | None = None
    refund: Attempt | None = None


class Step(msgspec.Struct, frozen=True):
    """One call to make; `ask_first` if an earlier call of the attempt may have happened."""

    task: Task
    call: Charge | Refund
    was: AttemptState | None  # None: the attempt is new
    ask_first: bool


def next_step(task: Task, payable: Payable, fresh: UUID) -> Step | None:
    """Choose what a payment task has to do; None if nothing is left to do.

    `fresh` is the id of the attempt, should a new one be needed.
    """
    if task.kind is Kind.CHARGE:
        return _charge(task, payable, fresh)
    return _refund(task, payable, fresh)


def _charge(task: Task, payable: Payable, fresh: UUID) -> Step | None:
    live = payable.charge
    untouched = live is None or live.state is AttemptState.CREATED
    if untouched and payable.status is not Status.RESERVED:
        return None
    if live is not None and live.state is AttemptState.SUCCEEDED:
        return None
    attempt_id = fresh if live is None else live.id
    call = Charge(attempt_id, payable.order_id, payable.total, payable.payment_method)
    was = None if live is None else live.state
    return Step(task, call, was, ask_first=was in {AttemptState.SENT, AttemptState.UNKNOWN})


def _refund(task: Task, payable: Payable, fresh: UUID) -> Step | None:
    paid, live = payable.charge, payable.refund
    if paid is None or paid.gateway_ref is None:
        return None
    if live is not None and live.state is AttemptState.SUCCEEDED:
        return None
    attempt_id = fresh if live is None else live.id
    call = Refund(attempt_id, payable.order_id, payable.total, paid.gateway_ref)
    # A refund is repeated under its own key, which a gateway answers as it did the first time.
    return Step(task, call, None if live is None else live.state, ask_first=False)


def state_after(step: Step, outcome: Outcome) -> AttemptState:
    """Say what an outcome makes of its attempt.

    A call that never left settles nothing if an earlier one may have happened.
    """
    match outcome:
        case Succeeded():
            return AttemptState.SUCCEEDED
        case Declined():
            return AttemptState.DECLINED
        case Unknown():
            return AttemptState.UNKNOWN
        case Unsent():
            return AttemptState.UNKNOWN if step.ask_first else AttemptState.CREATED


def verdict(step: Step, outcome: Outcome, *, chance: float) -> Verdict:
    """Say what an outcome makes of its task; `chance` is the jitter of a retry."""
    task = step.task
    match outcome:
        case Succeeded():
            return DONE
        case Declined(code) if isinstance(step.call, Refund):
            return Verdict(State.DEAD, f"The gateway refused the refund: {code}.")
        case Declined():
            return DONE
        case Unknown(reason):
            return ask_later(task.attempt, task.attempts_max, error=reason)
        case Unsent(reason):
            return retry(task.attempt, task.attempts_max, error=reason, chance=chance)
