"""Payments: charges and refunds, committed as sent before the call, recorded after it."""

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from functools import partial

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import orders, payments, tasks
from db.engine import Database, transaction
from db.ids import new_id
from domain import order
from domain.attempt import AttemptState, Step, next_step, verdict
from domain.event import CancelReason
from domain.order import Change, Order
from domain.payment import (
    Charge,
    Declined,
    Gateway,
    Outcome,
    Refund,
    Succeeded,
    Unknown,
    Unsent,
)
from domain.status import Status
from domain.task import Queue, Task
from ops.config import Settings
from ops.telemetry import metrics
from workers.leased import Stage, order_of

log = logging.getLogger(__name__)


class Cashier(msgspec.Struct, frozen=True):
    """What the payment stage works with."""

    database: Database
    gateway: Gateway
    settings: Settings


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
) -> list[Step | None]:
    """Choose what to ask the gateway for each task, and note it as sent."""
    ids = [order_of(task) for task in group]
    payables = await payments.lock_payables(tx, ids)
    steps = [
        next_step(task, payables[order_id], new_id())
        for task, order_id in zip(group, ids, strict=True)
    ]
    sent = [step for step in steps if step is not None]
    await payments.insert_sent(tx, sent, gateway=cashier.gateway.name)
    return steps


async def call(cashier: Cashier, step: Step) -> Outcome:
    """Ask the gateway, within the task's time; whatever goes wrong is an outcome."""
    started = time.perf_counter()
    try:
        async with asyncio.timeout(cashier.settings.task_timeout_s):
            outcome = await _ask(cashier.gateway, step)
    except TimeoutError:
        outcome = Unknown("The gateway did not answer in time.")
    except Exception as error:
        log.exception("The gateway adapter failed")
        outcome = Unknown(f"The gateway adapter failed: {type(error).__name__}.")
    labels = {"gateway": cashier.gateway.name, "operation": type(step.call).__name__.lower()}
    metrics.gateway_calls.labels(**labels, outcome=type(outcome).__name__.lower()).inc()
    metrics.gateway_call_seconds.labels(**labels).observe(time.perf_counter() - started)
    return outcome


async def _ask(gateway: Gateway, step: Step) -> Outcome:
    if isinstance(step.call, Refund):
        return await gateway.refund(step.call)
    if step.ask_first:
        found = await gateway.find_charge(step.call)
        if found is not None:
            return found
        # The gateway does not know it: sent again under its key, it still happens once.
    return await gateway.charge(step.call)


async def record(cashier: Cashier, pairs: Sequence[tuple[Step, Outcome]]) -> None:
    """Write outcomes, the orders they move and the ledger; attempts taken over are left alone."""
    verdicts = [
        (step.task, verdict(step, o, chance=random.random()))  # noqa: S311 - jitter
        for step, o in pairs
    ]
    async with transaction(cashier.database) as tx:
        ours = await tasks.finish(tx, verdicts, leased=True)
        current = [(step, outcome) for step, outcome in pairs if step.task.id in ours]
        if not current:
            return
        before = await orders.lock(tx, [step.call.order_id for step, _ in current])
        changes = [decide(before[step.call.order_id], step, o) for step, o in current]
        await payments.record(tx, current)
        await orders.change_many(tx, before, [change for change in changes if change])
    for task, ended in verdicts:
        metrics.tasks.labels(kind=task.kind.value, outcome=ended.state.value).inc()


def decide(was: Order, step: Step, outcome: Outcome) -> Change | None:
    """Say what an outcome makes of the order; None if nothing."""
    match step.call, outcome:
        case Charge(attempt_id), Succeeded(gateway_ref):
            return order.pay(was, attempt_id=attempt_id, gateway_ref=gateway_ref)
        case Charge(), Declined(code) if was.status is Status.RESERVED:
            return order.cancel(was, reason=CancelReason.PAYMENT_DECLINED, detail=code)
        case Charge(attempt_id), Unknown(reason) if step.was is not AttemptState.UNKNOWN:
            return order.doubt(was, attempt_id=attempt_id, reason=reason)
        case Refund(attempt_id, _, amount), Succeeded():
            return order.refunded(was, attempt_id=attempt_id, amount=amount)
        case _, Succeeded() | Declined() | Unknown() | Unsent():
            return None
