"""Outcomes: what became of orders in a stretch of time, and how long they took to be paid."""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch

# Orders of which the percentiles are made, the latest ones: more do not make them much better.
SETTLED_MAX = 1000

# How long an order `o` that got somewhere `at` took since it could go on: who waited for stock
# waited for no process of ours. Only of orders that took long the timeline is asked.
AGE_S = """
    extract(epoch FROM {at} - CASE
        WHEN {at} - o.created_at > interval '1 minute' AND o.reserved_until IS NOT NULL
         AND EXISTS (SELECT FROM order_events b
                     WHERE b.order_id = o.id AND b.kind = 'order_backordered')
        THEN o.reserved_until - make_interval(secs => o.reserve_for_s)
        ELSE o.created_at END)::float8
"""

PLACED, PAID, DECLINED, CANCELLED, REVIEW = "placed", "paid", "declined", "cancelled", "review"
OUTCOMES = (PLACED, PAID, DECLINED, CANCELLED, REVIEW)


class Settling(msgspec.Struct, frozen=True):
    """From placed, or from having got stock, to paid in seconds; none if no order was paid."""

    p50_s: float | None
    p95_s: float | None


class _Count(msgspec.Struct):
    outcome: str
    count: int


async def count(tx: AsyncConnection, since: datetime, until: datetime) -> Mapping[str, int]:
    """Count orders by what became of them; events are found by time, so their number counts."""
    rows = await fetch(
        tx,
        _Count,
        """
        SELECT outcome, count(*) FROM (
            SELECT CASE kind
                   WHEN 'order_placed' THEN 'placed'
                   WHEN 'order_paid' THEN 'paid'
                   WHEN 'payment_authorized' THEN 'paid'
                   WHEN 'payment_in_review' THEN 'review'
                   WHEN 'order_cancelled' THEN
                       CASE data ->> 'reason' WHEN 'payment_declined' THEN 'declined'
                       ELSE 'cancelled' END
                   END AS outcome
            FROM order_events WHERE at >= %(since)s AND at < %(until)s
        ) AS told WHERE outcome IS NOT NULL GROUP BY outcome
        """,
        {"since": since, "until": until},
    )
    counted = {row.outcome: row.count for row in rows}
    return {outcome: counted.get(outcome, 0) for outcome in OUTCOMES}


async def settling(tx: AsyncConnection, since: datetime, until: datetime) -> Settling:
    """Tell how long the orders took that were paid in that time."""
    [found] = await fetch(
        tx,
        Settling,
        f"""
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY took_s),
               percentile_cont(0.95) WITHIN GROUP (ORDER BY took_s)
        FROM (
            SELECT {AGE_S.format(at="e.at")} AS took_s
            FROM (
                SELECT order_id, at FROM order_events
                WHERE at >= %(since)s AND at < %(until)s
                  AND kind IN ('order_paid', 'payment_authorized')
                ORDER BY at DESC LIMIT %(limit)s
            ) AS e JOIN orders o ON o.id = e.order_id
        ) AS settled
        """,  # noqa: S608 - our own words
        {"since": since, "until": until, "limit": SETTLED_MAX},
    )
    return found
