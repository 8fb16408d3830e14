"""Payments: calls to gateways, committed as sent before they are made, recorded after."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import findings, orders, payables, payments, tasks
from db.engine import Database, name_commit, transaction
from db.ids import new_id
from domain.attempt import Decision, Plan, Step, Window, Withdrawal, next_step
from domain.finding import Finding
from domain.funds import TAKING, Attempt, Payable
from domain.order import Change, Order
from domain.outcome import is_news, verdict
from domain.payment import (
    NOT_FOUND,
    WITHDRAWN,
    ActionRequired,
    Charge,
    Declined,
    Gateway,
    Held,
    Outcome,
    Succeeded,
    Unknown,
    Unsent,
)
from domain.settlement import settle, unconfirmed
from domain.status import Status
from domain.task import DONE, Kind, NewTask, Queue, State, Task, Verdict
from ops.config import Settings
from ops.telemetry import metrics, trace
from ops.telemetry.faultpoint import Commit
from workers.breaker import Breaker, Refused, guarded
from workers.leased import Stage, order_of
from workers.telling import tell_ended

log = logging.getLogger(__name__)

# Errors that prove that nothing was charged are met again at once, a few times: full jitter over
# a pause that doubles (Brooker, "Exponential Backoff and Jitter", AWS 2015).
TRIES_MAX = 3
TRY_AGAIN_S = 0.2

# Two tasks for one order are done one after the other.
NEXT = Verdict(State.READY, "Another task for this order goes first.", 0.1, spent=False)
# Somebody has to bring the gateway's settings back.
NO_GATEWAY_S = 60.0


class Till(msgspec.Struct, frozen=True):
    """A gateway and its breaker."""

    gateway: Gateway
    breaker: Breaker


class Cashier(msgspec.Struct, frozen=True):
    """What the payment stage works with; new charges go to the first till that is not open."""

    database: Database
    tills: Mapping[str, Till]
    settings: Settings

    def route(self) -> str | None:
        """Choose the gateway of a new charge; None while all are out of service."""
        return next((name for name, t in self.tills.items() if not t.breaker.is_open()), None)


def stage(cashier: Cashier) -> Stage[Step, Outcome]:
    """Put the stage together."""
    return Stage(
        database=cashier.database,
        queue=Queue.PAYMENTS,
        lease_s=cashier.settings.lease_s,
        prepare=partial(prepare, cashier),
        call=partial(call, cashier),
        record=partial(record, cashier),
        flying_max=cashier.settings.gateway_concurrency,
    )


async def prepare(
    cashier: Cashier, tx: AsyncConnection, group: Sequence[Task]
) -> list[Step | Verdict]:
    """Choose what to ask a gateway for each task, and note it as sent.

    Locks the orders, in the order of their ids.
    """
    now, locked = await payables.lock_many(tx, [order_of(task) for task in group])
    window = Window(now, timedelta(seconds=cashier.settings.gateway_window_s))
    decide = partial(next_step, gateway=cashier.route(), window=window)
    decisions = [_reachable(cashier, made) for made in _decide(group, locked, decide)]
    await _write(tx, locked, decisions)
    return [_step_or_verdict(decision) for decision in decisions]


def _decide(
    group: Sequence[Task], locked: Mapping[UUID, Payable], decide: Callable[..., Decision]
) -> list[Decision]:
    """Decide for each task; the second one of an order waits for what the first one does."""
    busy: set[UUID] = set()
    decisions: list[Decision] = []
    for task in group:
        order_id = order_of(task)
        decision = NEXT if order_id in busy else decide(task, locked[order_id], fresh=new_id())
        if not isinstance(decision, Verdict):
            busy.add(order_id)
        decisions.append(decision)
    return decisions


async def _write(
    tx: AsyncConnection, locked: Mapping[UUID, Payable], decisions: Sequence[Decision]
) -> None:
    def of(kind: type[Step | Plan]) -> list[tuple[Payable, Attempt]]:
        return [(locked[order_of(d.task)], d.attempt) for d in decisions if isinstance(d, kind)]

    await payments.send(tx, of(Step))
    await payments.insert(tx, planned := of(Plan))
    for payable, attempt in planned:
        task = NewTask(Kind(attempt.kind.value), {"attempt_id": str(attempt.id)})
        await tasks.schedule(tx, task, order_id=payable.order_id)
    gone = [d.attempt_id for d in decisions if isinstance(d, Withdrawal)]
    await payments.withdraw(tx, gone, code=WITHDRAWN)


def _reachable(cashier: Cashier, decision: Decision) -> Decision:
    """Have a call wait whose gateway is gone from the settings; it is not noted as sent."""
    if not isinstance(decision, Step) or decision.attempt.gateway in cashier.tills:
        return decision
    error = f"Gateway {decision.attempt.gateway} is not in PAYMENT_GATEWAYS: name it there again."
    return Verdict(State.READY, error, NO_GATEWAY_S, spent=False)


def _step_or_verdict(decision: Decision) -> Step | Verdict:
    match decision:
        case Plan(more=True):
            return NEXT
        case Plan() | Withdrawal():
            return DONE
        case Step() | Verdict():
            return decision


async def call(cashier: Cashier, step: Step) -> Outcome:
    """Ask the gateway, within the task's time; whatever goes wrong is an outcome."""
    till = cashier.tills[step.attempt.gateway]
    started = time.perf_counter()
    ask = partial(_within, cashier.settings.task_timeout_s, partial(_ask, till.gateway, step))
    labels = {"gateway": till.gateway.name, "operation": step.attempt.kind.value}
    with trace.span("gateway call", kind=trace.Kind.CLIENT, attributes=labels) as span:
        outcome = await guarded(till.breaker, ask)
        span.set({"outcome": type(outcome).__name__.lower()})
    if isinstance(outcome, Refused):
        return Held(outcome.wait_s)
    metrics.gateway_calls.labels(**labels, outcome=type(outcome).__name__.lower()).inc()
    metrics.gateway_call_duration.labels(**labels).observe(time.perf_counter() - started)
    return outcome


async def _within(timeout_s: float, ask: Callable[[], Awaitable[Outcome]]) -> Outcome:
    try:
        async with asyncio.timeout(timeout_s):
            return await ask()
    except TimeoutError:
        return Unknown("The gateway did not answer in time.")
    except Exception as error:
        log.exception("The gateway adapter failed")
        return Unknown(f"The gateway adapter failed: {type(error).__name__}.")


async def _ask(gateway: Gateway, step: Step) -> Outcome:
    """Look up what may have happened; do what provably has not, if it is still wanted."""
    if not step.ask_first:
        return await _execute(gateway, step)
    found = await gateway.find(step.call)
    if found is None and step.named is not None:
        # A name that is wrong says nothing of the charge itself.
        return Unknown(f"The gateway has no payment {step.named}.", pending=True)
    match found:
        case ActionRequired(gateway_ref) if isinstance(step.call, Charge) and not step.wanted:
            return await gateway.abandon(step.call, gateway_ref)
        case None if step.overdue:
            return Declined(NOT_FOUND)
        case None if step.wanted and step.keyed:
            # Sent again under its key it still happens once, whether or not it was there.
            return await gateway.execute(step.call)
        case _:
            return found or Unknown("The gateway does not know of it yet.", pending=True)


async def _execute(gateway: Gateway, step: Step) -> Outcome:
    for tried in range(1, TRIES_MAX):
        outcome = await gateway.execute(step.call)
        if not isinstance(outcome, Unsent):
            return outcome
        await asyncio.sleep(TRY_AGAIN_S * 2**tried * random.random())  # noqa: S311 - jitter
    return await gateway.execute(step.call)


async def record(cashier: Cashier, pairs: Sequence[tuple[Step, Outcome]]) -> None:
    """Write outcomes, the orders they move and the ledger; attempts taken over are left alone."""
    verdicts = [
        (step.task, verdict(step, o, chance=random.random()))  # noqa: S311 - jitter
        for step, o in pairs
    ]
    async with transaction(cashier.database) as tx:
        name_commit(tx, Commit.RECORD_PAYMENTS)
        ours = await tasks.finish(tx, verdicts, leased=True)
        current = [(s, o) for s, o in pairs if s.task.id in ours and is_news(s, o)]
        if not current:
            return
        before = await orders.lock(tx, [step.call.order_id for step, _ in current])
        current = await _not_overtaken(tx, current)
        changes = [decide(before[step.call.order_id], step, o) for step, o in current]
        await payments.record(tx, current)
        await findings.insert(tx, [found for step, o in current if (found := _found(step, o))])
        await orders.change_many(tx, before, [change for change in changes if change])
        await _call_the_next(tx, current)
    tell_ended(verdicts)


async def _not_overtaken(
    tx: AsyncConnection, pairs: Sequence[tuple[Step, Outcome]]
) -> Sequence[tuple[Step, Outcome]]:
    """Leave out what somebody else, who looked at the same attempt again, has recorded."""
    again = [step.attempt.id for step, _ in pairs if step.again]
    if not again:
        return pairs
    now = await payments.states(tx, again)
    return [(s, o) for s, o in pairs if not s.again or now.get(s.attempt.id) is s.attempt.state]


def _found(step: Step, outcome: Outcome) -> Finding | None:
    """Tell people of a refund that failed later; of a cancelled order it is made again."""
    again = step.again and step.status is not Status.CANCELLED
    if not again or not isinstance(outcome, Declined):
        return None
    amount = f"{step.call.amount.minor} {step.call.amount.currency} in minor units"
    detail = f"The refund of {amount} failed later ({outcome.code}): the money is with us again."
    return Finding("refund_failed", str(step.attempt.id), step.call.order_id, detail)


def decide(was: Order, step: Step, outcome: Outcome) -> Change | None:
    """Say what an outcome makes of the order; None if nothing."""
    if step.named is not None and isinstance(outcome, Unknown) and outcome.pending:
        return unconfirmed(was, step.attempt, outcome.reason)
    return settle(was, step.attempt, outcome, overdue=step.overdue, holds=step.holds)


async def _call_the_next(tx: AsyncConnection, settled: Sequence[tuple[Step, Outcome]]) -> None:
    """Have the other work with an order's money done, which waited for this to be settled.

    Nothing waits for a charge that went as it should.
    """
    called = [
        step.call.order_id
        for step, outcome in settled
        if isinstance(outcome, Succeeded | Declined)
        and (step.ask_first or step.attempt.kind not in TAKING)
    ]
    if called:
        await tasks.hurry(tx, called, Queue.PAYMENTS)
