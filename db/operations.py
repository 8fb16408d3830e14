"""Operations that happen once per Idempotency-Key, and the order they lock."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from http import HTTPStatus
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import keys, orders, payables
from db.engine import fetch
from db.keys import Answer, Claim
from domain.funds import Payable
from domain.order import Order
from domain.refusal import Conflict, NotFound
from domain.task import Kind


class Operation(msgspec.Struct, frozen=True):
    """A request about an order; `scope` and `key` make it happen once."""

    scope: str
    key: str
    fingerprint: bytes
    order_id: UUID


class Locked(msgspec.Struct, frozen=True):
    """An order and its money, under the lock of its row; `now` is the time of the database."""

    order: Order
    payable: Payable
    now: datetime


async def once(
    tx: AsyncConnection, operation: Operation, act: Callable[[AsyncConnection], Awaitable[bytes]]
) -> Answer:
    """Act, or give the answer that the key got before; `act` gives the body that is stored.

    A key that another transaction is just using is waited for. What `act` refuses leaves the key
    free. Raises IdempotencyKeyReused if the key was used for another request.
    """
    # Nobody else sees the key, with its body still empty, before the commit.
    claim = Claim(**msgspec.structs.asdict(operation), body=b"")
    if not await keys.take(tx, [claim]):
        return await _replay(tx, operation)
    body = await act(tx)
    await keys.fill(tx, operation.scope, operation.key, body)
    return Answer(operation.order_id, HTTPStatus.ACCEPTED, body)


async def _replay(tx: AsyncConnection, operation: Operation) -> Answer:
    pair = operation.scope, operation.key
    stored = (await keys.find(tx, [pair])).get(pair)
    if stored is None:
        raise Conflict("The Idempotency-Key was forgotten this moment: repeat the request.")
    keys.refuse_other(stored, operation.fingerprint)
    return Answer(stored.order_id, stored.status, stored.body, replayed=True)


async def lock(tx: AsyncConnection, order_id: UUID) -> Locked:
    """Lock an order and read its money; raises NotFound."""
    found = (await orders.lock(tx, [order_id])).get(order_id)
    if found is None:
        raise NotFound(f"There is no order {order_id}.")
    now, locked = await payables.lock_many(tx, [order_id])
    return Locked(found, locked[order_id], now)


async def has_open(tx: AsyncConnection, order_id: UUID, kind: Kind) -> bool:
    """Tell whether work of a kind is still to be done for an order."""
    found = await fetch(
        tx,
        int,
        """
        SELECT 1 FROM tasks
        WHERE order_id = %(id)s AND kind = %(kind)s AND state IN ('ready', 'running') LIMIT 1
        """,
        {"id": order_id, "kind": kind.value},
    )
    return bool(found)


async def is_asking(tx: AsyncConnection, order_id: UUID) -> bool:
    """Tell whether a worker may talk to a gateway about an order.

    One whose lease ran out as well: until the clock takes its task back, it may record.
    """
    found = await fetch(
        tx,
        int,
        """
        SELECT 1 FROM tasks
        WHERE order_id = %(id)s AND queue = 'payments' AND state = 'running' LIMIT 1
        """,
        {"id": order_id},
    )
    return bool(found)
