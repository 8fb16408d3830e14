"""An order between its customer, the staff, a worker or two, the gateway and the clock."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar
from uuid import UUID

import msgspec

from domain import attempt, funds, outcome, settlement
from domain.attempt import Step
from domain.funds import Attempt
from domain.money import Money
from domain.order import Change, Order
from domain.payment import Capture, Outcome
from domain.status import Status
from domain.task import Task, Verdict
from tests.domain.machine.books import Books, Fate
from tests.domain.machine.records import Placed, Records, Row

T = TypeVar("T")
START = datetime(2026, 1, 1, tzinfo=UTC)
TOTAL = Money(1000, "GBP")
GATEWAY = "stripe"

# What becomes of requests: seldom anything bad, sometimes, or in most cases.
WEATHERS = tuple((Fate.ANSWERED,) * often + tuple(Fate) for often in (12, 6, 1))


class Pick(Protocol):
    """Whoever decides what happens next: chance, or Hypothesis."""

    def __call__(self, options: Sequence[T], /) -> T: ...


class Decisions(msgspec.Struct, frozen=True):
    """What is under test; a seeded bug is one of these replaced."""

    next_step: Callable[..., attempt.Decision] = attempt.next_step
    state_after: Callable[[Step, Outcome], funds.AttemptState] = outcome.state_after
    verdict: Callable[..., Verdict] = outcome.verdict
    settle: Callable[..., Change | None] = settlement.settle
    ask_refund: Callable[..., Attempt] = funds.ask_refund
    is_current: Callable[[Row, Task], bool] = Row.is_current


class Flight(msgspec.Struct):
    """A call of a worker: committed as sent, then made, then recorded; it may stop in between."""

    step: Step
    claimed_at: datetime
    outcome: Outcome | None = None


class World:
    """Everything there is, at a time that only moves when it is told to."""

    def __init__(self, pick: Pick, decisions: Decisions) -> None:
        self.decisions: Decisions = decisions
        self.now: datetime = START
        self.books: Books = Books(lenient=pick((False, True)))
        self.fates: Sequence[Fate] = pick(WEATHERS)
        self.flights: list[Flight] = []
        self.breaker_is_open: bool = False
        self._ids: int = 1
        placed = Placed(
            Order(self.new_id(), Status.PLACED, 0, TOTAL),
            capture=pick((Capture.AUTOMATIC, Capture.MANUAL)),
            holds=pick((False, True)),
            in_stock=pick((True,) * 15 + (False,)),
        )
        self.records: Records = Records(placed, START)

    def new_id(self) -> UUID:
        self._ids += 1
        return UUID(int=self._ids)

    def advance(self, by: timedelta) -> None:
        self.now += by
        self.books.pass_time(self.now)
