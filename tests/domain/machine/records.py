"""A model of the database: one order with what its constraints, locks and leases guarantee."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from domain import saga
from domain.event import Event
from domain.funds import OPEN, TAKING, Attempt, AttemptState, Payable
from domain.order import Change, Order, place
from domain.payment import Capture
from domain.status import MOVES, Status
from domain.stock import Line
from domain.task import ATTEMPTS_MAX, Kind, NewTask, State, Task, Verdict

LEASE = timedelta(seconds=30)
RESERVE_FOR = timedelta(hours=1)
ON_HAND = 3
UNFINISHED = frozenset({State.READY, State.RUNNING})

SETTLED = frozenset({AttemptState.SUCCEEDED, AttemptState.DECLINED})

_LIVE = frozenset(AttemptState) - {AttemptState.DECLINED}


class Placed(msgspec.Struct, frozen=True):
    """What a customer and the catalogue make of an order."""

    order: Order
    capture: Capture
    holds: bool
    in_stock: bool


class Row(msgspec.Struct):
    """A task as the database keeps it."""

    id: int
    kind: Kind
    payload: Mapping[str, str]
    attempts_max: int
    run_at: datetime
    state: State = State.READY
    attempt: int = 0
    lease_until: datetime | None = None
    error: str | None = None

    def is_current(self, task: Task) -> bool:
        """Tell whether the claim still holds: its number is the fencing token."""
        return self.state is State.RUNNING and self.attempt == task.attempt


class Records:
    """All rows of one order; every method is a transaction, or a part of one, under its lock."""

    def __init__(self, placed: Placed, now: datetime) -> None:
        first = place(placed.order.id, (Line("sku", 1, 1000),), placed.order.total, None)
        self.order: Order = msgspec.structs.replace(first.order, version=0)
        self.capture: Capture = placed.capture
        self.holds: bool = placed.holds
        self.payment_method: str = "pm_1"
        self.events: list[tuple[Status, Event]] = []
        self.attempts: dict[UUID, Attempt] = {}
        self.expires_at: datetime | None = None  # of the authorization
        self.rows: list[Row] = []
        self.on_hand: int = ON_HAND if placed.in_stock else 0
        self.reserved: int = 0
        self.reserved_until: datetime | None = None
        self.change(first, now)

    def payable(self) -> Payable:
        return Payable(
            self.order.id,
            self.order.status,
            self.order.total,
            self.payment_method,
            self.capture,
            self.holds,
            tuple(self.attempts.values()),
            self.reserved_until,
        )

    def change(self, change: Change | None, now: datetime) -> None:
        """Write a decision: row, timeline, tasks and stock."""
        if change is None:
            return
        was, to = self.order, change.order
        assert to.version == was.version + len(change.events), "The versions have a gap."
        assert to.status is was.status or to.status in MOVES[was.status], "No such move."
        if to.status is Status.RESERVED and was.status is not Status.RESERVED:
            self.reserved_until = now + RESERVE_FOR
        charged = was.status in {Status.RESERVED, Status.REVIEW}
        if charged and to.status is Status.CANCELLED:
            self.hurry(now)
        if effect := saga.STOCK_EFFECTS.get((was.status, to.status)):
            self.on_hand += effect.on_hand
            self.reserved += effect.reserved
        self.order = to
        self.events += [(to.status, event) for event in change.events]
        for task in change.tasks:
            self.schedule(task, now)

    def schedule(self, task: NewTask, now: datetime) -> None:
        if task.kind is not Kind.NOTIFY:
            row = Row(len(self.rows), task.kind, task.payload, ATTEMPTS_MAX[task.kind], now)
            self.rows.append(row)

    def due(self, now: datetime) -> list[Row]:
        return [row for row in self.rows if row.state is State.READY and row.run_at <= now]

    def lease(self, row: Row, now: datetime) -> Task:
        row.state, row.attempt, row.lease_until = State.RUNNING, row.attempt + 1, now + LEASE
        return Task(row.id, row.kind, self.order.id, row.payload, row.attempt, row.attempts_max)

    def finish(
        self,
        task: Task,
        verdict: Verdict,
        now: datetime,
        is_current: Callable[[Row, Task], bool] = Row.is_current,
    ) -> bool:
        """End a claim; False, and nothing is changed, if it is not the current one."""
        row = self.rows[task.id]
        if not is_current(row, task):
            return False
        row.state, row.error, row.lease_until = verdict.state, verdict.error, None
        row.attempts_max += not verdict.spent
        if verdict.state is State.READY:
            row.run_at = now + timedelta(seconds=verdict.delay_s)
        return True

    def take_back(self, now: datetime) -> None:
        """Give on what lost workers held."""
        for row in self.rows:
            if row.lease_until is not None and row.lease_until < now:
                spent = row.attempt >= row.attempts_max
                row.state, row.error = State.DEAD if spent else State.READY, "lost"
                row.lease_until = None

    def hurry(self, now: datetime) -> None:
        for row in self.rows:
            if row.state is State.READY:
                row.run_at = min(row.run_at, now)

    def send(self, attempt: Attempt, now: datetime) -> None:
        """Note that a call is about to be made; the time of the first one is kept.

        What never was sent may be of another amount by now.
        """
        known = self.attempts.get(attempt.id, attempt)
        created = known.state is AttemptState.CREATED
        if created and attempt.kind in TAKING:
            assert not self.is_out_of_time(now), "A charge is begun past its reservation."
        state = AttemptState.SENT if created else known.state
        known = attempt if created else known
        self.write(msgspec.structs.replace(known, state=state, sent_at=known.sent_at or now))

    def write(self, attempt: Attempt) -> None:
        """Write an attempt; the unique indexes on attempts hold."""
        self.attempts[attempt.id] = attempt
        others = self.attempts.values()
        assert sum(a.state in OPEN for a in others) <= 1, "Two attempts are open."
        taking = sum(a.kind in TAKING and a.state in _LIVE for a in others)
        assert taking <= 1, "Two attempts take the money of one order."

    def settle(self, attempt_id: UUID, state: AttemptState, **known: str | None) -> None:
        """Write what became of an attempt; one that never left has not been sent."""
        was = self.attempts[attempt_id]
        sent_at = None if state is AttemptState.CREATED else was.sent_at
        self.write(msgspec.structs.replace(was, state=state, sent_at=sent_at, **known))

    def is_out_of_time(self, now: datetime) -> bool:
        return self.reserved_until is not None and self.reserved_until <= now

    def may_expire(self, now: datetime) -> bool:
        """Tell whether the reservation ran out and no charge is sent or unknown."""
        return (
            self.order.status is Status.RESERVED
            and self.is_out_of_time(now)
            and not any(
                a.state in {AttemptState.SENT, AttemptState.UNKNOWN} for a in self.attempts.values()
            )
        )

    def is_settled(self) -> bool:
        return all(a.state in SETTLED for a in self.attempts.values())

    def is_asking(self) -> bool:
        """Tell whether a worker may talk to the gateway: also one that is not yet known as lost."""
        return any(row.state is State.RUNNING for row in self.rows)
