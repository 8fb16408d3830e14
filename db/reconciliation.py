"""Our side of a reconciliation: accounts of charges, and which of them the gateway confirmed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import findings, tasks
from db.engine import fetch, run
from db.ids import first_id
from db.orders import CLOCKS_APART_MAX
from domain.funds import AttemptKind, AttemptState
from domain.money import Money
from domain.payment import Capture, Charge
from domain.reconciliation import Account, Comparison, Difference, Portion, Sought
from domain.task import Queue


class _SoughtRow(msgspec.Struct):
    attempt_id: UUID
    order_id: UUID
    kind: str
    amount_minor: int
    currency: str
    payment_method: str
    released: bool
    gateway_ref: str | None = None


class _Nights(msgspec.Struct):
    last: datetime
    this: datetime


async def asked_at(tx: AsyncConnection) -> datetime:
    """Read the time by the clock that dates our books, before those of the gateway are read."""
    [now] = await fetch(tx, _same, "SELECT clock_timestamp()", {})
    return now


def _same(now: datetime) -> datetime:
    return now


async def nightly(tx: AsyncConnection, job: str, *, every_s: int) -> tuple[datetime, datetime]:
    """Give the period since the last night that was reconciled, until the slot just taken."""
    [nights] = await fetch(
        tx,
        _Nights,
        """
        SELECT coalesce(max(slot) FILTER (WHERE slot < this), this - make_interval(secs => %(s)s)),
               this
        FROM (SELECT date_bin(make_interval(secs => %(s)s), now(), 'epoch') AS this) AS night
        LEFT JOIN cron_runs ON job = %(job)s
        GROUP BY this
        """,
        {"job": job, "s": every_s},
    )
    return nights.last, nights.this


async def accounts(
    tx: AsyncConnection, attempt_ids: Sequence[UUID], *, asked_at: datetime
) -> Mapping[UUID, Account]:
    """Read charges and authorizations by the id of their attempt.

    What has changed since `asked_at` is moving: the gateway's books may have been read before.
    """
    rows = await fetch(
        tx,
        _account,
        """
        SELECT a.id, a.order_id, a.kind, a.state, a.gateway, a.gateway_ref, a.currency,
               a.amount_minor, o.total_minor,
               coalesce(sum(b.amount_minor) FILTER (
                   WHERE b.state = 'succeeded' AND b.kind IN ('charge', 'capture')), 0)::bigint,
               coalesce(sum(b.amount_minor) FILTER (
                   WHERE b.state = 'succeeded' AND b.kind = 'refund'
                     AND b.gateway <> 'by-hand'), 0)::bigint,
               sum(b.fee_minor)::bigint,
               bool_or(b.state = 'succeeded'
                       AND (b.kind = 'void' OR b.kind = 'capture' AND b.final)),
               bool_or(b.state IN ('sent', 'unknown', 'action_required')
                       OR b.state = 'created' AND b.id <> a.id
                       OR b.updated_at >= %(asked_at)s)
        FROM payment_attempts a
        JOIN orders o ON o.id = a.order_id
        JOIN payment_attempts b ON b.order_id = a.order_id
        WHERE a.id = ANY (%(ids)b::uuid[]) AND a.kind IN ('charge', 'authorize')
        GROUP BY a.id, o.id
        """,
        {"ids": list(attempt_ids), "asked_at": asked_at},
    )
    return {account.attempt_id: account for account in rows}


def _account(attempt_id: UUID, order_id: UUID, kind: str, state: str, *columns: Any) -> Account:  # noqa: ANN401 - those of an Account
    return Account(attempt_id, order_id, AttemptKind(kind), AttemptState(state), *columns)


async def unconfirmed(
    tx: AsyncConnection, portion: Portion, *, window_s: float, limit: int
) -> list[Sought]:
    """Read charges that succeeded in the period and that the gateway's books did not show.

    In the order of their ids, those that are moving left out, and those that the gateway has
    otherwise: that is a finding already. Before `window_s` it need not show them.
    """
    rows = await fetch(
        tx,
        _SoughtRow,
        """
        SELECT a.id, a.order_id, a.kind, a.amount_minor, a.currency, o.payment_method,
               EXISTS (SELECT FROM payment_attempts b
                       WHERE b.order_id = a.order_id AND b.kind = 'void' AND b.state = 'succeeded')
        FROM payment_attempts a JOIN orders o ON o.id = a.order_id
        WHERE a.id > %(after)s AND a.id >= %(least)s AND a.id < %(most)s
          AND a.gateway = %(gateway)s AND a.kind IN ('charge', 'authorize')
          AND a.state = 'succeeded' AND a.reconciled_at IS NULL
          AND a.sent_at >= %(since)s AND a.sent_at < %(until)s
          AND a.sent_at < now() - make_interval(secs => %(window_s)s)
          AND NOT EXISTS (SELECT FROM payment_attempts b WHERE b.order_id = a.order_id
                          AND b.state IN ('sent', 'unknown', 'action_required'))
          AND NOT EXISTS (SELECT FROM findings f WHERE f.subject = a.id::text
                          AND f.kind = ANY (%(kinds)b::text[]) AND f.closed_at IS NULL)
        ORDER BY a.id LIMIT %(limit)s
        """,
        {
            "after": portion.after,
            "least": first_id(portion.since, apart=-CLOCKS_APART_MAX),
            "most": first_id(portion.until, apart=CLOCKS_APART_MAX),
            "gateway": portion.gateway,
            "since": portion.since,
            "until": portion.until,
            "window_s": window_s,
            "kinds": [kind.value for kind in Difference if kind is not Difference.MISSING_THERE],
            "limit": limit,
        },
    )
    return [_sought(row) for row in rows]


async def changed(
    tx: AsyncConnection, portion: Portion, *, window_s: float, limit: int
) -> list[Sought]:
    """Read the charges of orders whose money changed in the period and that did not agree since.

    In the order of their ids. Orders that were charged in the period and did not change later
    are left to the gateway's books and to `unconfirmed`; the index has the others alone.
    """
    rows = await fetch(
        tx,
        _SoughtRow,
        """
        SELECT a.id, a.order_id, a.kind, a.amount_minor, a.currency, o.payment_method, false,
               a.gateway_ref
        FROM payment_attempts a JOIN orders o ON o.id = a.order_id
        WHERE a.id > %(after)s AND a.gateway = %(gateway)s AND a.gateway_ref IS NOT NULL
          AND a.kind IN ('charge', 'authorize')
          AND a.order_id IN (
              SELECT b.order_id FROM payment_attempts b
              WHERE b.updated_at >= %(since)s AND b.updated_at < %(until)s
                AND (b.kind IN ('capture', 'void', 'refund')
                     OR b.updated_at - b.created_at > interval '1 hour'))
          AND (a.reconciled_at IS NULL
               OR a.reconciled_at < (SELECT max(b.updated_at) FROM payment_attempts b
                                     WHERE b.order_id = a.order_id))
          AND a.sent_at < now() - make_interval(secs => %(window_s)s)
          AND NOT EXISTS (SELECT FROM payment_attempts b WHERE b.order_id = a.order_id
                          AND b.state IN ('sent', 'unknown', 'action_required'))
        ORDER BY a.id LIMIT %(limit)s
        """,
        {
            "after": portion.changed,
            "gateway": portion.gateway,
            "since": portion.since,
            "until": portion.until,
            "window_s": window_s,
            "limit": limit,
        },
    )
    return [_sought(row) for row in rows]


def _sought(row: _SoughtRow) -> Sought:
    amount = Money(row.amount_minor, row.currency)
    held = row.kind == AttemptKind.AUTHORIZE
    capture = Capture.MANUAL if held else Capture.AUTOMATIC
    charge = Charge(row.attempt_id, row.order_id, amount, row.payment_method, capture)
    return Sought(charge, row.released, row.gateway_ref)


async def record(tx: AsyncConnection, seen: Comparison) -> None:
    """Write what a look came to: findings opened and closed, matches, and what is to hurry."""
    if seen.moving:
        await tasks.hurry(tx, seen.moving, Queue.PAYMENTS)
    await _confirm(tx, seen.matched)
    kinds = [kind.value for kind in Difference]
    await findings.close_gone(tx, kinds, seen.examined, seen.findings)
    await findings.insert(tx, seen.findings)


async def _confirm(tx: AsyncConnection, attempt_ids: Sequence[UUID]) -> None:
    """Note attempts that the gateway has as we have them.

    One that somebody is just changing is left out instead of waited for: it is looked for later.
    """
    if not attempt_ids:
        return
    await run(
        tx,
        """
        UPDATE payment_attempts SET reconciled_at = now()
        WHERE id IN (SELECT id FROM payment_attempts WHERE id = ANY (%(ids)b::uuid[])
                     FOR NO KEY UPDATE SKIP LOCKED)
        """,
        {"ids": list(attempt_ids)},
    )
