"""Operations that happen once per Idempotency-Key, and the order they lock."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from http import HTTPStatus
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import orders, payments
from db.engine import fetch, run
from db.placements import Answer, IdempotencyKeyReused
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


class _Stored(msgspec.Struct):
    fingerprint: bytes
    status: int
    body: bytes
    order_id: UUID


async def once(
    tx: AsyncConnection, operation: Operation, act: Callable[[AsyncConnection], Awaitable[bytes]]
) -> Answer:
    """Act, or give the answer that the key got before; `act` gives the body that is stored.

    A key that another transaction is just using is waited for. What `act` refuses leaves the key
    free. Raises IdempotencyKeyReused if the key was used for another request.
    """
    if not await _take(tx, operation):
        return await _replay(tx, operation)
    body = await act(tx)
    await run(
        tx,
        "UPDATE idempotency_keys SET body = %(body)s WHERE scope = %(scope)s AND key = %(key)s",
        {"body": body, "scope": operation.scope, "key": operation.key},
    )
    return Answer(operation.order_id, HTTPStatus.ACCEPTED, body)


async def _take(tx: AsyncConnection, operation: Operation) -> bool:
    """Take a key; nobody else sees it, with its body still empty, before the commit."""
    taken = await run(
        tx,
        """
        INSERT INTO idempotency_keys (scope, key, fingerprint, status, body, order_id)
        VALUES (%(scope)s, %(key)s, %(fingerprint)s, %(status)s, '', %(order_id)s)
        ON CONFLICT DO NOTHING
        """,
        {**msgspec.structs.asdict(operation), "status": int(HTTPStatus.ACCEPTED)},
    )
    return taken == 1


async def _replay(tx: AsyncConnection, operation: Operation) -> Answer:
    stored = await fetch(
        tx,
        _Stored,
        """
        SELECT fingerprint, status, body, order_id FROM idempotency_keys
        WHERE scope = %(scope)s AND key = %(key)s
        """,
        {"scope": operation.scope, "key": operation.key},
    )
    if not stored:
        raise Conflict("The Idempotency-Key was forgotten this moment: repeat the request.")
    [first] = stored
    if first.fingerprint != operation.fingerprint:
        raise IdempotencyKeyReused(
            "This Idempotency-Key was used for another request: use a new key.",
            field="Idempotency-Key",
        )
    return Answer(first.order_id, first.status, first.body, replayed=True)


async def lock(tx: AsyncConnection, order_id: UUID) -> Locked:
    """Lock an order and read its money; raises NotFound."""
    found = (await orders.lock(tx, [order_id])).get(order_id)
    if found is None:
        raise NotFound(f"There is no order {order_id}.")
    now, payables = await payments.lock_payables(tx, [order_id])
    return Locked(found, payables[order_id], now)


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
