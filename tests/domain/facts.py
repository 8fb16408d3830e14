"""Facts for explanations, as of one noon."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.attempt import Window
from domain.event import CancelReason, OrderCancelled
from domain.explanation import (
    BreakerState,
    DatedAttempt,
    Facts,
    QueueState,
    Subject,
    Work,
)
from domain.funds import AttemptKind, AttemptState
from domain.money import Money
from domain.status import Status
from domain.task import Kind, Queue, State

ORDER, ATTEMPT = UUID(int=1), UUID(int=2)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
EARLIER, JUST_NOW = NOON - timedelta(hours=1), NOON - timedelta(seconds=5)
SOON, LATER = NOON + timedelta(seconds=5), NOON + timedelta(hours=1)

# Gateways know after that time what they did.
WINDOW = Window(NOON, timedelta(hours=2))


def work(kind: Kind, state: State = State.READY, **changes: Any) -> Work:
    """A task of just now that is due, unless told otherwise."""
    given: dict[str, Any] = {
        "id": 12,
        "payload": {},
        "attempt": 0,
        "attempts_max": 20,
        "created_at": EARLIER,
        "run_at": JUST_NOW,
    }
    return Work(kind=kind, state=state, **(given | changes))


def attempt(
    kind: AttemptKind = AttemptKind.CHARGE,
    state: AttemptState = AttemptState.SUCCEEDED,
    **changes: Any,
) -> DatedAttempt:
    """An attempt of an hour ago, for all of the order."""
    given: dict[str, Any] = {
        "id": ATTEMPT,
        "amount_minor": 1000,
        "gateway": "stripe",
        "sent_at": EARLIER,
        "updated_at": EARLIER,
    }
    return DatedAttempt(kind=kind, state=state, **(given | changes))


def breaker(state: str, gateway: str = "stripe", since: datetime = JUST_NOW) -> BreakerState:
    """A breaker that stays open for half a minute."""
    return BreakerState(gateway, state, since, since + timedelta(seconds=30))


def cancelled(reason: CancelReason, detail: str | None = None, **changes: Any) -> Subject:
    return subject(Status.CANCELLED, cancelled=OrderCancelled(reason, detail), **changes)


def subject(status: Status, **changes: Any) -> Subject:
    return Subject(ORDER, status, EARLIER, Money(1000, "GBP"), **changes)


def facts(
    order: Subject | Status,
    *tasks: Work,
    attempts: Sequence[DatedAttempt] = (),
    queues: Mapping[Queue, QueueState] | None = None,
    breakers: Sequence[BreakerState] = (),
) -> Facts:
    told = subject(order) if isinstance(order, Status) else order
    return Facts(told, tasks, attempts, queues or {}, breakers, WINDOW)
