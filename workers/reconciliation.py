"""Reconciliation: a gateway's books are read page by page and compared with ours."""

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import reconciliation, tasks
from db.engine import Database, name_commit, transaction
from domain.finding import Finding
from domain.payment import Booked, Gateway, Outcome, Statement, Unknown, Unsent
from domain.reconciliation import FIRST, Portion, Sought, compare, is_no_answer, judge
from domain.task import DONE, Kind, NewTask, Queue, State, Task, Verdict, retry
from ops.config import Settings
from ops.telemetry.faultpoint import Commit
from workers.leased import Stage
from workers.payments import NO_GATEWAY_S, Till
from workers.telling import tell_ended

log = logging.getLogger(__name__)

# Charges asked after in one step, all at once; each step is to end within the time of a task.
SOUGHT_MAX = 10
# Each gateway is one chain of tasks, so more than a handful is never under way.
FLYING_MAX = 8


class Reading(msgspec.Struct, frozen=True):
    """What to ask a gateway next: a page of its books, or after charges they did not show."""

    portion: Portion
    asked_at: datetime
    sought: tuple[Sought, ...] = ()


class Found(msgspec.Struct, frozen=True):
    """The answers to lookups, one for each charge."""

    answers: tuple[tuple[Sought, Outcome | Booked | None], ...]


Answer = Statement | Found | Unsent | Unknown


class Seen(msgspec.Struct, frozen=True):
    """What came of a reading; `rest` is what is left to do."""

    payments: int
    findings: tuple[Finding, ...]
    rest: Portion | None


class Errand(msgspec.Struct, frozen=True):
    """A reading, and the task that wants it."""

    task: Task
    reading: Reading


class Clerk(msgspec.Struct, frozen=True):
    """What the reconciliation stage works with."""

    database: Database
    tills: Mapping[str, Till]
    settings: Settings


def stage(clerk: Clerk) -> Stage[Errand, Answer]:
    """Put the stage together."""
    return Stage(
        database=clerk.database,
        queue=Queue.RECONCILIATION,
        lease_s=clerk.settings.lease_s,
        prepare=partial(prepare, clerk),
        call=partial(call, clerk),
        record=partial(record, clerk),
        flying_max=FLYING_MAX,
    )


def task_for(portion: Portion) -> NewTask:
    """Make the task that does a portion and asks for the next one."""
    return NewTask(Kind.RECONCILE, msgspec.to_builtins(portion))


async def prepare(
    clerk: Clerk, tx: AsyncConnection, group: Sequence[Task]
) -> list[Errand | Verdict]:
    """Choose what to ask for each task; a gateway that is out of service is left alone."""
    return [await _prepare(clerk, tx, task) for task in group]


async def _prepare(clerk: Clerk, tx: AsyncConnection, task: Task) -> Errand | Verdict:
    portion = msgspec.convert(task.payload, Portion)
    till = clerk.tills.get(portion.gateway)
    if till is None:
        error = f"Gateway {portion.gateway} is not in PAYMENT_GATEWAYS: name it there again."
        return Verdict(State.READY, error, NO_GATEWAY_S, spent=False)
    if wait_s := till.breaker.wait_s():
        error = f"{portion.gateway} is out of service: its breaker is open."
        return Verdict(State.READY, error, wait_s, spent=False)
    return Errand(task, await read(tx, portion, clerk.settings))


async def read(tx: AsyncConnection, portion: Portion, settings: Settings) -> Reading:
    """Say what to ask for a portion; afterwards our books are to be read anew."""
    asked_at = await reconciliation.asked_at(tx)
    if portion.changed is None and portion.after is None:
        return Reading(portion, asked_at)
    look = reconciliation.changed if portion.after is None else reconciliation.unconfirmed
    sought = await look(tx, portion, window_s=settings.gateway_window_s, limit=SOUGHT_MAX)
    return Reading(portion, asked_at, tuple(sought))


async def call(clerk: Clerk, errand: Errand) -> Answer:
    """Ask the gateway. Its breaker does not count this: reading books is not taking money."""
    gateway = clerk.tills[errand.reading.portion.gateway].gateway
    return await ask(gateway, errand.reading, timeout_s=clerk.settings.task_timeout_s)


async def ask(gateway: Gateway, reading: Reading, *, timeout_s: float) -> Answer:
    """Ask for a page or after charges; whatever goes wrong is an answer."""
    portion = reading.portion
    try:
        async with asyncio.timeout(timeout_s):
            if portion.changed is None and portion.after is None:
                return await gateway.statement(portion.since, portion.until, portion.cursor)
            found = await asyncio.gather(*(_look_up(gateway, s) for s in reading.sought))
            return Found(tuple(zip(reading.sought, found, strict=True)))
    except TimeoutError:
        return Unknown("The gateway did not answer in time.")
    except Exception as error:
        log.exception("The gateway adapter failed")
        return Unknown(f"The gateway adapter failed: {type(error).__name__}.")


async def _look_up(gateway: Gateway, sought: Sought) -> Outcome | Booked | None:
    if sought.gateway_ref:
        return await gateway.booked(sought.gateway_ref)
    return await gateway.find(sought.charge)


def failure(answer: Answer) -> str | None:
    """Say why an answer does not do, or not yet."""
    match answer:
        case Unsent(reason) | Unknown(reason):
            return reason
        case Found(answers):
            lost = [found for _, found in answers if isinstance(found, Unsent | Unknown)]
            return lost[0].reason if lost else None
        case Statement():
            return None


async def record(clerk: Clerk, pairs: Sequence[tuple[Errand, Answer]]) -> None:
    """Write what came of readings, and ask for the rest; attempts taken over are left alone."""
    async with transaction(clerk.database) as tx:
        verdicts = [(errand.task, _verdict(errand.task, answer)) for errand, answer in pairs]
        name_commit(tx, Commit.RECORD_RECONCILIATION)
        ours = await tasks.finish(tx, verdicts, leased=True)
        for (errand, answer), (_, verdict) in zip(pairs, verdicts, strict=True):
            if errand.task.id not in ours or isinstance(answer, Unsent | Unknown):
                continue
            is_last = verdict.state is State.DONE
            seen = await write(tx, errand.reading, answer, is_last=is_last)
            if is_last and seen.rest:
                await tasks.schedule(tx, task_for(seen.rest))
    tell_ended(verdicts)


def _verdict(task: Task, answer: Answer) -> Verdict:
    """Try again what failed; a charge that cannot be asked after to the end is a finding."""
    why = failure(answer)
    if why is None or (isinstance(answer, Found) and task.attempt >= task.attempts_max):
        return DONE
    return retry(task.attempt, task.attempts_max, error=why, chance=random.random())  # noqa: S311 - jitter


async def write(
    tx: AsyncConnection, reading: Reading, answer: Statement | Found, *, is_last: bool
) -> Seen:
    """Compare with our books as they are now. Unless it `is_last`, lookups may fail once more."""
    portion = reading.portion
    if isinstance(answer, Statement):
        payments, missed, rest = answer.payments, [], _after_page(portion, answer)
    else:
        payments = tuple(found for _, found in answer.answers if isinstance(found, Booked))
        missed = [(s, found) for s, found in answer.answers if not isinstance(found, Booked)]
        missed = [each for each in missed if is_last or not is_no_answer(each[1])]
        rest = _after_lookups(portion, reading.sought)
    ids = [payment.attempt_id for payment in payments if payment.attempt_id]
    accounts = await reconciliation.accounts(tx, ids, asked_at=reading.asked_at)
    looks = compare(portion.gateway, payments, accounts), judge(portion.gateway, missed)
    for seen in looks:
        await reconciliation.record(tx, seen)
    return Seen(len(payments), looks[0].findings + looks[1].findings, rest)


def _after_page(portion: Portion, page: Statement) -> Portion:
    if page.cursor is None:
        return msgspec.structs.replace(portion, cursor=None, changed=FIRST)
    return msgspec.structs.replace(portion, cursor=page.cursor)


def _after_lookups(portion: Portion, sought: Sequence[Sought]) -> Portion | None:
    """Go on with the same, or with what comes next."""
    if portion.after is None:
        if len(sought) < SOUGHT_MAX:
            return msgspec.structs.replace(portion, after=FIRST)
        return msgspec.structs.replace(portion, changed=sought[-1].charge.attempt_id)
    if len(sought) < SOUGHT_MAX:
        return None
    return msgspec.structs.replace(portion, after=sought[-1].charge.attempt_id)
