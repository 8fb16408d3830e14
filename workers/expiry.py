"""Authorizations that run out: their orders end, or what is left of them is released."""

from collections.abc import Iterable, Sequence
from functools import partial
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import authorizations, orders, payables, payments
from db.engine import Database, act_as, name_commit, transaction
from db.groups import in_savepoints
from db.ids import new_id
from domain.actor import CLOCK
from domain.funds import OPEN, Attempt, AttemptState, Payable, ask_void, funds
from domain.order import Change, Order
from domain.settlement import expire_authorization
from domain.status import Status
from domain.task import Kind, NewTask
from ops.telemetry.faultpoint import Commit

# Authorizations that are dealt with in one transaction.
EXPIRED_BATCH_MAX = 200

_UNSETTLED = OPEN | {AttemptState.CREATED}


class _Ended(msgspec.Struct):
    """An authorization that ran out, what follows from that, and how the rest is released."""

    held: Attempt
    payable: Payable
    change: Change | None = None
    void: Attempt | None = None


async def expire_authorizations(database: Database) -> None:
    """Deal with authorizations that have run out, each once; the rest is for the next sweep.

    One that cannot be dealt with keeps no other from it. Raises what the first such failed with.
    """
    failed: list[Exception] = []
    async with transaction(database) as tx:
        ids = sorted(await authorizations.lock_expired(tx, limit=EXPIRED_BATCH_MAX))
        if ids:
            name_commit(tx, Commit.EXPIRE_AUTHORIZATIONS)
            act_as(tx, CLOCK)
            failed = await in_savepoints(tx, ids, partial(_end, tx))
    if failed:
        raise failed[0]


async def _end(tx: AsyncConnection, ids: Sequence[UUID]) -> None:
    before = await orders.lock(tx, ids)
    _, locked = await payables.lock_many(tx, ids)
    ended = _decide(before, locked.values())
    await authorizations.notice(tx, [one.held.id for one in ended])
    await payments.insert(tx, [(one.payable, one.void) for one in ended if one.void])
    await orders.change_many(tx, before, [one.change for one in ended if one.change])


def _decide(before: dict[UUID, Order], payables: Iterable[Payable]) -> list[_Ended]:
    return [one for p in payables if (one := _expire(before[p.order_id], p)) is not None]


def _expire(was: Order, payable: Payable) -> _Ended | None:
    """Decide on one order, under its lock; None if its money moves again since it was found."""
    held = payable.taking()
    if held is None or any(a.state in _UNSETTLED for a in payable.attempts):
        return None
    left = funds(payable.attempts)
    # What is held for a cancelled order is released by what undoes its payment.
    if not left.capturable or was.status is Status.CANCELLED:
        return _Ended(held, payable)
    change = expire_authorization(was, held, left=left.capturable, captured=left.captured > 0)
    if change.order.status is Status.CANCELLED:
        return _Ended(held, payable, change)
    void = ask_void(payable, new_id())
    task = NewTask(Kind.VOID, {"attempt_id": str(void.id)})
    change = msgspec.structs.replace(change, tasks=(*change.tasks, task))
    return _Ended(held, payable, change, void)
