"""Payment attempts and the ledger: what was asked of a gateway, and what came of it."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run
from domain.attempt import Attempt, AttemptKind, AttemptState, Payable, Step, state_after
from domain.money import Money
from domain.payment import Charge, Declined, Outcome, Succeeded, Unknown, Unsent
from domain.status import Status


class _PayableRow(msgspec.Struct):
    order_id: UUID
    status: str
    total_minor: int
    currency: str
    payment_method: str
    charge_id: UUID | None
    charge_state: str | None
    charge_ref: str | None
    refund_id: UUID | None
    refund_state: str | None
    refund_ref: str | None


async def lock_payables(tx: AsyncConnection, order_ids: Sequence[UUID]) -> dict[UUID, Payable]:
    """Lock orders, in the order of their ids, and read their live attempts.

    Two statements: the second sees the attempts that were committed while the first waited.
    """
    held = "SELECT id FROM orders WHERE id = ANY (%(ids)b::uuid[]) ORDER BY id FOR NO KEY UPDATE"
    await run(tx, held, {"ids": list(order_ids)})
    rows = await fetch(
        tx,
        _PayableRow,
        """
        SELECT o.id, o.status, o.total_minor, o.currency, o.payment_method,
               c.id, c.state, c.gateway_ref, r.id, r.state, r.gateway_ref
        FROM orders o
        LEFT JOIN payment_attempts c ON c.order_id = o.id AND c.kind = 'charge'
          AND c.state IN ('created', 'sent', 'unknown', 'succeeded')
        LEFT JOIN payment_attempts r ON r.order_id = o.id AND r.kind = 'refund'
          AND r.state IN ('created', 'sent', 'unknown', 'succeeded')
        WHERE o.id = ANY (%(ids)b::uuid[])
        """,
        {"ids": list(order_ids)},
    )
    return {row.order_id: _payable(row) for row in rows}


def _payable(row: _PayableRow) -> Payable:
    return Payable(
        row.order_id,
        Status(row.status),
        Money(row.total_minor, row.currency),
        row.payment_method,
        _attempt(row.charge_id, row.charge_state, row.charge_ref),
        _attempt(row.refund_id, row.refund_state, row.refund_ref),
    )


def _attempt(attempt_id: UUID | None, state: str | None, ref: str | None) -> Attempt | None:
    if attempt_id is None or state is None:
        return None
    return Attempt(attempt_id, AttemptState(state), ref)


async def insert_sent(tx: AsyncConnection, steps: Sequence[Step], *, gateway: str) -> None:
    """Note that calls are about to be made; to be committed before they are.

    A second live attempt of the same kind for an order is a unique violation.
    """
    if not steps:
        return
    await run(
        tx,
        """
        INSERT INTO payment_attempts (id, order_id, kind, state, amount_minor, currency, gateway)
        SELECT id, order_id, kind, 'sent', amount_minor, currency, %(gateway)s
        FROM unnest(%(id)b::uuid[], %(order_id)b::uuid[], %(kind)b::text[],
                    %(amount_minor)b::bigint[], %(currency)b::text[])
          AS a (id, order_id, kind, amount_minor, currency)
        ON CONFLICT (id) DO UPDATE SET state = 'sent', updated_at = now()
        """,
        {
            "gateway": gateway,
            "id": [step.call.attempt_id for step in steps],
            "order_id": [step.call.order_id for step in steps],
            "kind": [_kind(step).value for step in steps],
            "amount_minor": [step.call.amount.minor for step in steps],
            "currency": [step.call.amount.currency for step in steps],
        },
    )


async def record(tx: AsyncConnection, outcomes: Sequence[tuple[Step, Outcome]]) -> None:
    """Write what came of calls, and the ledger entries of the money that moved."""
    await run(
        tx,
        """
        UPDATE payment_attempts a
        SET state = v.state, gateway_ref = coalesce(v.gateway_ref, a.gateway_ref),
            error = v.error, updated_at = now()
        FROM unnest(%(id)b::uuid[], %(state)b::text[], %(gateway_ref)b::text[],
                    %(error)b::text[]) AS v (id, state, gateway_ref, error)
        WHERE a.id = v.id
        """,
        {
            "id": [step.call.attempt_id for step, _ in outcomes],
            "state": [state_after(step, outcome).value for step, outcome in outcomes],
            "gateway_ref": [_gateway_ref(outcome) for _, outcome in outcomes],
            "error": [_error(outcome) for _, outcome in outcomes],
        },
    )
    await _append_ledger(tx, [step for step, o in outcomes if isinstance(o, Succeeded)])


async def _append_ledger(tx: AsyncConnection, moved: Sequence[Step]) -> None:
    """Book each amount twice, so that every transaction sums to zero."""
    if not moved:
        return
    signed = [-s.call.amount if _kind(s) is AttemptKind.REFUND else s.call.amount for s in moved]
    await run(
        tx,
        """
        INSERT INTO ledger_entries (transaction_id, account, order_id, amount_minor, currency)
        SELECT id, account, order_id, sign * amount_minor, currency
        FROM unnest(%(id)b::uuid[], %(order_id)b::uuid[], %(amount_minor)b::bigint[],
                    %(currency)b::text[]) AS m (id, order_id, amount_minor, currency)
        CROSS JOIN (VALUES ('gateway_cash', 1), ('receivable', -1)) AS side (account, sign)
        """,
        {
            "id": [step.call.attempt_id for step in moved],
            "order_id": [step.call.order_id for step in moved],
            "amount_minor": [amount.minor for amount in signed],
            "currency": [amount.currency for amount in signed],
        },
    )


def _kind(step: Step) -> AttemptKind:
    return AttemptKind.CHARGE if isinstance(step.call, Charge) else AttemptKind.REFUND


def _gateway_ref(outcome: Outcome) -> str | None:
    return outcome.gateway_ref if isinstance(outcome, Succeeded) else None


def _error(outcome: Outcome) -> str | None:
    match outcome:
        case Succeeded():
            return None
        case Declined(code):
            return code
        case Unknown(reason) | Unsent(reason):
            return reason
