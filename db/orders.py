"""Orders: read, locked and changed; nothing else writes an order's status."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db import backorders, events, outcomes, redemptions, reservations, tables, tasks, users
from db.engine import count_after_commit, fetch, run
from db.ids import first_id
from domain import saga
from domain.address import Address
from domain.money import Money
from domain.order import Change, Order, Status
from domain.refusal import Conflict, NotFound
from domain.stock import Line
from domain.task import Queue

# Ids are made by the clock of a web process, times by that of Postgres. Their distance is below
# this, so that a list by time reads a range of ids and not every order there is.
CLOCKS_APART_MAX = timedelta(hours=1)

# There may be a charge of these whose end is open.
_CHARGED = frozenset({Status.RESERVED, Status.REVIEW})


class AppliedDiscount(msgspec.Struct, frozen=True):
    """What a discount took off an order, its shipping included; it is called so by staff."""

    slug: str
    code: str | None
    amount_minor: int


class OrderView(msgspec.Struct, frozen=True):
    """An order as people see it.

    `expected_on` is when all that it waits for is to be there, if anybody knows. Its lines, less
    `discount_minor`, plus `shipping_minor`, plus `tax_minor` unless contained, are `total_minor`.
    """

    id: UUID
    email: str
    status: str
    cancel_reason: str | None
    currency: str
    total_minor: int
    discount_minor: int
    shipping_minor: int
    tax_minor: int
    tax_included: bool
    discounts: tuple[AppliedDiscount, ...]
    capture: str
    on_decline: str
    allow_split: bool
    reserved_until: datetime | None
    expected_on: date | None
    ship_to: Address
    version: int
    created_at: datetime
    updated_at: datetime
    lines: tuple[Line, ...]


class Filter(msgspec.Struct, frozen=True):
    """What a list of orders is narrowed by; `created_before` is exclusive."""

    status: Status | None = None
    email: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    user_id: UUID | None = None


class _OrderRow(msgspec.Struct):
    id: UUID
    status: str
    version: int
    total_minor: int
    currency: str
    traceparent: str | None


class _Aged(msgspec.Struct):
    id: UUID
    age_s: float


async def lock(tx: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, Order]:
    """Lock orders, in the order of their ids, until the transaction ends.

    The lock is the weaker one that lets foreign keys to the row be checked meanwhile.
    """
    rows = await fetch(
        tx,
        _OrderRow,
        """
        SELECT id, status, version, total_minor, currency, traceparent
        FROM orders WHERE id = ANY (%(ids)b::uuid[]) ORDER BY id FOR NO KEY UPDATE
        """,
        {"ids": list(ids)},
    )
    return {row.id: _order(row) for row in rows}


def _order(row: _OrderRow) -> Order:
    total = Money(row.total_minor, row.currency)
    return Order(row.id, Status(row.status), row.version, total, row.traceparent)


async def change(
    tx: AsyncConnection, order_id: UUID, decide: Callable[[Order], Change | None]
) -> None:
    """Decide on one order under its lock and write the outcome; None changes nothing.

    Raises NotFound, and whatever `decide` refuses with.
    """
    found = (await lock(tx, [order_id])).get(order_id)
    if found is None:
        raise NotFound(f"There is no order {order_id}.")
    decided = decide(found)
    if decided is not None:
        await change_many(tx, {order_id: found}, [decided])


async def change_many(
    tx: AsyncConnection, before: dict[UUID, Order], changes: Sequence[Change]
) -> None:
    """Write decisions on locked orders: rows, timeline, tasks, and stock as the moves demand.

    At most one change per order. Raises Conflict if an order is not as it was in `before`.
    """
    if not changes:
        return
    ages = await _write(tx, before, changes)
    await events.append(tx, changes)
    await tasks.insert(tx, changes)
    moves = [(c.order.id, before[c.order.id].status, c.order.status) for c in changes]
    effects = [(order_id, saga.STOCK_EFFECTS.get((was, to))) for order_id, was, to in moves]
    parts = [(c.order.id, part) for c in changes for part in c.parts]
    await reservations.apply(tx, [(id_, effect) for id_, effect in effects if effect], parts)
    await redemptions.give_back(tx, [o for o, _, to in moves if to is Status.CANCELLED])
    ended = [o for o, was, to in moves if was in _CHARGED and to is Status.CANCELLED]
    await _end_charges(tx, ended)
    count_after_commit(tx, [(to, ages[each]) for each, was, to in moves if was is not to])


async def _write(
    tx: AsyncConnection, before: dict[UUID, Order], changes: Sequence[Change]
) -> dict[UUID, float]:
    """Write the rows; returns the ages of the orders in seconds."""
    written = await fetch(
        tx,
        _Aged,
        f"""
        UPDATE orders o
        SET status = c.status, version = c.version, updated_at = statement_timestamp(),
            cancel_reason = coalesce(c.cancel_reason, o.cancel_reason),
            reserved_until = CASE WHEN c.status = 'reserved' AND o.status <> 'reserved'
                THEN statement_timestamp() + make_interval(secs => o.reserve_for_s)
                ELSE o.reserved_until END
        FROM unnest(%(id)b::uuid[], %(was)b::int[], %(version)b::int[], %(status)b::text[],
                    %(cancel_reason)b::text[]) AS c (id, was, version, status, cancel_reason)
        WHERE o.id = c.id AND o.version = c.was
        RETURNING o.id, {outcomes.AGE_S.format(at="o.updated_at")}
        """,  # noqa: S608 - our own words
        {
            "id": [c.order.id for c in changes],
            "was": [before[c.order.id].version for c in changes],
            "version": [c.order.version for c in changes],
            "status": [c.order.status.value for c in changes],
            "cancel_reason": [c.cancel_reason and c.cancel_reason.value for c in changes],
        },
    )
    if len(written) != len(changes):
        raise Conflict("An order changed meanwhile: read it again and repeat.")
    return {row.id: row.age_s for row in written}


async def _end_charges(tx: AsyncConnection, cancelled: Sequence[UUID]) -> None:
    """Have charges that wait for their customer ended at the gateway, too."""
    if cancelled:
        await tasks.hurry(tx, cancelled, Queue.PAYMENTS)


async def lock_expired(tx: AsyncConnection, *, limit: int) -> dict[UUID, Order]:
    """Lock orders whose reservation has run out; those that others hold are skipped.

    Two statements: a charge may have been sent after the first had begun, and until it is
    settled the stock stays held.
    """
    expired = await fetch(
        tx,
        UUID,
        """
        SELECT id::text FROM orders o WHERE status = 'reserved' AND reserved_until <= now()
          AND NOT EXISTS (SELECT FROM payment_attempts a
                          WHERE a.order_id = o.id AND a.state IN ('sent', 'unknown'))
        ORDER BY reserved_until LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
        """,
        {"limit": limit},
    )
    sent = await fetch(
        tx,
        UUID,
        """
        SELECT order_id::text FROM payment_attempts
        WHERE order_id = ANY (%(ids)b::uuid[]) AND state IN ('sent', 'unknown')
        """,
        {"ids": expired},
    )
    return await lock(tx, sorted(set(expired) - set(sent)))


async def set_payment_method(tx: AsyncConnection, order_id: UUID, payment_method: str) -> None:
    """Have the next charge made to another method; the caller has changed the order."""
    o = tables.orders
    await tx.execute(update(o).where(o.c.id == order_id).values(payment_method=payment_method))


async def claim(tx: AsyncConnection, order_id: UUID, user_id: UUID) -> bool:
    """Give an order that no account has to one; tells whether it has it now, again is the same.

    Raises NotFound for an account that was erased meanwhile.
    """
    await users.stay(tx, user_id)
    written = await run(
        tx,
        """
        UPDATE orders SET user_id = %(user_id)s
        WHERE id = %(id)s AND (user_id IS NULL OR user_id = %(user_id)s)
        """,
        {"id": order_id, "user_id": user_id},
    )
    return written == 1


async def get(tx: AsyncConnection, order_id: UUID) -> OrderView:
    """Read an order with its lines; raises NotFound."""
    found = await _views(tx, select(*_VIEW).where(tables.orders.c.id == order_id))
    if not found:
        raise NotFound(f"There is no order {order_id}.")
    return found[0]


async def page(
    tx: AsyncConnection, wanted: Filter, *, before: UUID | None, limit: int
) -> list[OrderView]:
    """List orders, newest first, from just before `before` on."""
    o = tables.orders.c
    query = select(*_VIEW).order_by(o.id.desc()).limit(limit)
    if wanted.status is not None:
        query = query.where(o.status == wanted.status.value)
    if wanted.user_id is not None:
        query = query.where(o.user_id == wanted.user_id)
    if wanted.email is not None:
        query = query.where(o.email == wanted.email)
    if wanted.created_from is not None:
        least = first_id(wanted.created_from, apart=-CLOCKS_APART_MAX)
        query = query.where(o.created_at >= wanted.created_from, o.id >= least)
    if wanted.created_before is not None:
        most = first_id(wanted.created_before, apart=CLOCKS_APART_MAX)
        query = query.where(o.created_at < wanted.created_before, o.id < most)
    if before is not None:
        query = query.where(o.id < before)
    return await _views(tx, query)


_VIEW = tuple(
    tables.orders.c[name]
    for name in OrderView.__struct_fields__
    if name not in {"expected_on", "lines"}
)


async def _views(tx: AsyncConnection, query: Select[*tuple[Any, ...]]) -> list[OrderView]:
    rows = (await tx.execute(query)).mappings().all()
    lines = await _lines(tx, [row["id"] for row in rows])
    waiting = [row["id"] for row in rows if row["status"] == Status.BACKORDERED]
    days = await backorders.expected_on(tx, waiting)
    return [_view(dict(row), lines.get(row["id"], []), days.get(row["id"])) for row in rows]


def _view(row: dict[Any, Any], lines: list[Line], expected_on: date | None) -> OrderView:
    row["ship_to"] = msgspec.convert(row["ship_to"], Address)
    row["discounts"] = msgspec.convert(row["discounts"], tuple[AppliedDiscount, ...])
    return OrderView(**row, expected_on=expected_on, lines=tuple(lines))


async def _lines(tx: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, list[Line]]:
    li = tables.order_lines.c
    query = (
        select(li.order_id, *(li[name] for name in Line.__struct_fields__))
        .where(li.order_id.in_(ids))
        .order_by(li.order_id, li.line)
    )
    found: dict[UUID, list[Line]] = {}
    for order_id, *columns in await tx.execute(query):
        found.setdefault(order_id, []).append(Line(*columns))
    return found
