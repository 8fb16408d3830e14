"""What workers do, in the parts between which they may be killed, and the clock's sweep."""

from datetime import timedelta

from domain import order, settlement
from domain.attempt import Plan, Step, Window, Withdrawal
from domain.event import CancelReason
from domain.funds import TAKING, AttemptState, ask_void, funds
from domain.payment import (
    NOT_FOUND,
    WITHDRAWN,
    ActionRequired,
    Charge,
    Declined,
    Held,
    Outcome,
    Succeeded,
    Unknown,
)
from domain.status import Status
from domain.task import DONE, Kind, NewTask, State, Task, Verdict
from tests.domain.machine.books import Request, Ruling
from tests.domain.machine.world import GATEWAY, Flight, Pick, World

# The defaults of GATEWAY_WINDOW_S, TASK_TIMEOUT_S and BREAKER_OPEN_S.
WINDOW = timedelta(hours=1)
TASK_TIMEOUT = timedelta(seconds=20)
BREAKER_OPEN_S = 30.0

# Approvals come more often than not, or few schedules would get far.
RULINGS = (Ruling.APPROVED,) * 4 + tuple(Ruling)
LAGS = tuple(timedelta(seconds=s) for s in (60, 900, 2600, 2600))

_NEXT = Verdict(State.READY, "Another task for this order goes first.", 0.1, spent=False)


def claim(world: World, pick: Pick) -> Flight | None:
    """Lease a task and commit as sent what it is about to ask."""
    records = world.records
    due = records.due(world.now)
    if not due:
        return None
    task = records.lease(pick(due), world.now)
    if task.kind is Kind.RESERVE:
        return _reserve(world, task)
    decision = world.decisions.next_step(
        task,
        records.payable(),
        fresh=world.new_id(),
        gateway=None if world.breaker_is_open else GATEWAY,
        window=Window(world.now, WINDOW),
    )
    match decision:
        case Step(attempt=attempt):
            records.send(attempt, world.now)
            world.flights.append(flight := Flight(decision, world.now))
            return flight
        case Verdict():
            records.finish(task, decision, world.now)
        case Plan(attempt=attempt, more=more):
            records.write(attempt)
            planned = NewTask(Kind(attempt.kind.value), {"attempt_id": str(attempt.id)})
            records.schedule(planned, world.now)
            records.finish(task, _NEXT if more else DONE, world.now)
        case Withdrawal(attempt_id=attempt_id):
            records.settle(attempt_id, AttemptState.DECLINED, error=WITHDRAWN)
            records.finish(task, DONE, world.now)
    return None


def _reserve(world: World, task: Task) -> None:
    records = world.records
    if records.order.status is Status.PLACED:
        available = records.on_hand > records.reserved
        was = records.order
        short = CancelReason.OUT_OF_STOCK
        records.change(
            order.reserve(was) if available else order.cancel(was, reason=short), world.now
        )
    records.finish(task, DONE, world.now)


def call(world: World, flight: Flight, pick: Pick) -> None:
    """Ask the gateway; a worker that was asleep finds that its time is over."""
    if world.breaker_is_open:
        flight.outcome = Held(BREAKER_OPEN_S)
    elif world.now - flight.claimed_at > TASK_TIMEOUT:
        flight.outcome = Unknown("timeout")
    else:
        flight.outcome = _ask(world, flight.step, pick)


def _ask(world: World, step: Step, pick: Pick) -> Outcome:
    """Look up what may have happened; do what provably has not, if it is still wanted."""
    books, now = world.books, world.now
    request = Request(step.call, pick(world.fates), pick(RULINGS), pick(LAGS))
    if not step.ask_first:
        return books.execute(request, now)
    found = books.find(step.call, pick(world.fates), now)
    match found:
        case ActionRequired() if isinstance(step.call, Charge) and not step.wanted:
            return books.abandon(step.call, pick(world.fates))
        case None if step.overdue:
            return Declined(NOT_FOUND)
        case None if step.wanted and step.keyed:
            return books.execute(request, now)
        case None:
            return Unknown("not known yet")
        case _:
            return found


def record(world: World, flight: Flight) -> None:
    """Write what came of a call, in one transaction."""
    step, outcome = flight.step, flight.outcome
    assert outcome is not None
    world.flights.remove(flight)
    records, decisions, now = world.records, world.decisions, world.now
    ended = decisions.verdict(step, outcome, chance=0.5)
    if not records.finish(step.task, ended, now, decisions.is_current):
        return
    change = decisions.settle(
        records.order, step.attempt, outcome, overdue=step.overdue, holds=step.holds
    )
    _write(world, step, outcome)
    records.change(change, now)
    waited_for = step.ask_first or step.attempt.kind not in TAKING
    if waited_for and isinstance(outcome, Succeeded | Declined):
        records.hurry(now)


def _write(world: World, step: Step, outcome: Outcome) -> None:
    state = world.decisions.state_after(step, outcome)
    if isinstance(outcome, Succeeded | ActionRequired):
        world.records.settle(step.attempt.id, state, gateway_ref=outcome.gateway_ref, error=None)
    else:
        error = outcome.code if isinstance(outcome, Declined) else None
        world.records.settle(step.attempt.id, state, error=error)
    if isinstance(outcome, Succeeded) and outcome.expires_at is not None:
        world.records.expires_at = outcome.expires_at


def sweep(world: World) -> None:
    """Take back what lost workers held, and end what ran out."""
    records = world.records
    records.take_back(world.now)
    if records.may_expire(world.now):
        records.change(settlement.expire(records.order), world.now)
    if records.expires_at is not None and records.expires_at <= world.now and records.is_settled():
        records.expires_at = None
        _expire_authorization(world)


def _expire_authorization(world: World) -> None:
    records = world.records
    payable = records.payable()
    held, left = payable.taking(), funds(payable.attempts)
    if held is None or not left.capturable or payable.status is Status.CANCELLED:
        return
    captured = left.captured > 0
    change = settlement.expire_authorization(
        records.order, held, left=left.capturable, captured=captured
    )
    if change.order.status is not Status.CANCELLED:
        void = ask_void(payable, world.new_id())
        records.write(void)
        records.schedule(NewTask(Kind.VOID, {"attempt_id": str(void.id)}), world.now)
    records.change(change, world.now)


def work(world: World, pick: Pick) -> None:
    """Do one due task from claim to record."""
    flight = claim(world, pick)
    if flight is not None:
        call(world, flight, pick)
        record(world, flight)
