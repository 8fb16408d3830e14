"""What an explanation of an order is made from, and what it says."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from domain.attempt import Window
from domain.backorder import Waiting
from domain.event import OrderCancelled, PaymentDisputed
from domain.funds import Attempt, Funds, funds
from domain.money import Money
from domain.notice import amount
from domain.status import Status
from domain.task import Kind, Queue, State


class Owner(StrEnum):
    """Whose move it is."""

    CUSTOMER = "customer"
    PLATFORM = "platform"  # it goes on by itself
    GATEWAY = "gateway"  # it goes on once the payment gateway answers
    STAFF = "staff"
    NOBODY = "nobody"  # nothing is waited for


class Code(StrEnum):
    """What is waited for, for programs."""

    PAYMENT_WINDOW_OVER = "payment_window_over"
    REVIEW = "review"
    DEAD_TASK = "dead_task"
    CUSTOMER_AUTHENTICATION = "customer_authentication"
    OTHER_PAYMENT_METHOD = "other_payment_method"
    NO_STOCK = "no_stock"
    NO_SINGLE_LOCATION = "no_single_location"
    RUNNING = "running"
    WORKER_LOST = "worker_lost"
    QUEUE_PAUSED = "queue_paused"
    GATEWAY_OUT_OF_SERVICE = "gateway_out_of_service"
    GATEWAY_ON_TRIAL = "gateway_on_trial"
    LOOKUP_SCHEDULED = "lookup_scheduled"
    RETRY_SCHEDULED = "retry_scheduled"
    QUEUE_FULL = "queue_full"
    NO_WORKER = "no_worker"
    DUE = "due"
    NOTHING_UNDER_WAY = "nothing_under_way"
    AUTHORIZATION_EXPIRED = "authorization_expired"
    PAYMENT_DISPUTED = "payment_disputed"
    CAPTURE_OUTSTANDING = "capture_outstanding"
    NOTHING_PAID = "nothing_paid"
    PARTLY_PAID = "partly_paid"
    MAIL_NOT_SENT = "mail_not_sent"
    AWAITS_SHIPMENT = "awaits_shipment"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    RETURNED = "returned"
    CANCELLED = "cancelled"


class Explanation(msgspec.Struct, frozen=True):
    """What an order waits for, in a sentence and in parts; `action` is the one that is safe."""

    sentence: str
    since: datetime
    owner: Owner
    action: str
    code: Code
    waits_for: str
    until: datetime | None = None


class Subject(msgspec.Struct, frozen=True):
    """The order that is explained."""

    id: UUID
    status: Status
    since: datetime  # it is in this status
    total: Money
    reserved_until: datetime | None = None
    cancelled: OrderCancelled | None = None
    had_stock: bool = False
    waiting: Waiting = Waiting()  # what a backordered order waits for
    disputed: PaymentDisputed | None = None  # the newest one
    disputed_at: datetime | None = None


class Work(msgspec.Struct, frozen=True):
    """A task of the order that is not done."""

    id: int
    kind: Kind
    state: State
    payload: Mapping[str, str]
    attempt: int
    attempts_max: int
    created_at: datetime
    run_at: datetime
    started_at: datetime | None = None  # of a running one
    lease_until: datetime | None = None
    finished_at: datetime | None = None  # of a dead one
    last_error: str | None = None


class DatedAttempt(Attempt, frozen=True, kw_only=True):
    """A payment attempt and when it came to its state."""

    updated_at: datetime
    expires_at: datetime | None = None


class QueueState(msgspec.Struct, frozen=True):
    """A queue; `running` is counted where there is a limit."""

    paused: bool = False
    running_max: int | None = None
    running: int = 0


class BreakerState(msgspec.Struct, frozen=True):
    """The breaker of a gateway in one process; `until` is when an open one tries a call.

    A `forced` one is held open by a person, in all processes.
    """

    gateway: str
    state: str
    since: datetime
    until: datetime
    forced: bool = False


class Facts(msgspec.Struct, frozen=True):
    """All that an explanation goes by, as it was at one moment."""

    order: Subject
    tasks: Sequence[Work]
    attempts: Sequence[DatedAttempt]  # oldest first
    queues: Mapping[Queue, QueueState]
    breakers: Sequence[BreakerState]
    window: Window  # of the gateways, now

    @property
    def now(self) -> datetime:
        """Give the moment that the facts are of."""
        return self.window.now

    def funds(self) -> Funds:
        """Sum up the order's money."""
        return funds(self.attempts)

    def amount(self, minor: int) -> str:
        """Write an amount of the order's currency."""
        return amount(Money(minor, self.order.total.currency))


def iso(moment: datetime) -> str:
    """Write a time, in UTC and to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def quoted(error: str | None) -> str:
    """Write an error so that it stays a part of the sentence around it."""
    on_one_line = " ".join((error or "no reason given").split())
    return f'"{on_one_line.rstrip(". ")}"'
