"""Payment attempts and the ledger: what was asked of a gateway, and what came of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import ledger, tables
from db.engine import run
from domain.attempt import Step
from domain.funds import Attempt, AttemptState, Payable
from domain.outcome import state_after
from domain.payment import (
    ActionRequired,
    Declined,
    Held,
    Outcome,
    Succeeded,
    Unknown,
    Unsent,
)

# A refund that never was sent or was refused is not what a gateway takes back.
_MAY_FAIL = ("sent", "unknown", "succeeded")


class AttemptView(msgspec.Struct, frozen=True):
    """An attempt as people see it."""

    id: UUID
    kind: str
    state: str
    amount_minor: int
    currency: str
    gateway: str
    gateway_ref: str | None
    final: bool
    reason: str | None
    error: str | None
    fee_minor: int
    expires_at: datetime | None
    client_secret: str | None
    created_at: datetime
    updated_at: datetime


async def insert(tx: AsyncConnection, attempts: Sequence[tuple[Payable, Attempt]]) -> None:
    """Write attempts that are to be made; each has a task that makes it."""
    await _put(tx, attempts, AttemptState.CREATED)


async def send(tx: AsyncConnection, attempts: Sequence[tuple[Payable, Attempt]]) -> None:
    """Note that calls are about to be made; to be committed before they are.

    A second one with an open outcome for an order, and a second one that takes money, are a
    unique violation.
    """
    await _put(tx, attempts, AttemptState.SENT)


async def _put(
    tx: AsyncConnection, attempts: Sequence[tuple[Payable, Attempt]], state: AttemptState
) -> None:
    if not attempts:
        return
    await run(
        tx,
        """
        INSERT INTO payment_attempts (id, order_id, kind, state, amount_minor, currency, gateway,
                                      final, reason, sent_at)
        SELECT id, order_id, kind, %(state)s, amount_minor, currency, gateway, final, reason,
               CASE %(state)s WHEN 'sent' THEN clock_timestamp() END
        FROM unnest(%(id)b::uuid[], %(order_id)b::uuid[], %(kind)b::text[],
                    %(amount_minor)b::bigint[], %(currency)b::text[], %(gateway)b::text[],
                    %(final)b::bool[], %(reason)b::text[])
          AS a (id, order_id, kind, amount_minor, currency, gateway, final, reason)
        ON CONFLICT (id) DO UPDATE
        SET state = CASE payment_attempts.state WHEN 'created' THEN 'sent'
                    ELSE payment_attempts.state END,
            amount_minor = CASE payment_attempts.state WHEN 'created' THEN excluded.amount_minor
                           ELSE payment_attempts.amount_minor END,
            gateway = CASE payment_attempts.state WHEN 'created' THEN excluded.gateway
                      ELSE payment_attempts.gateway END,
            sent_at = coalesce(payment_attempts.sent_at, excluded.sent_at), updated_at = now()
        """,
        {
            "state": state.value,
            "id": [a.id for _, a in attempts],
            "order_id": [p.order_id for p, _ in attempts],
            "kind": [a.kind.value for _, a in attempts],
            "amount_minor": [a.amount_minor for _, a in attempts],
            "currency": [p.total.currency for p, _ in attempts],
            "gateway": [a.gateway for _, a in attempts],
            "final": [a.final for _, a in attempts],
            "reason": [a.reason and a.reason.value for _, a in attempts],
        },
    )


async def withdraw(tx: AsyncConnection, attempt_ids: Sequence[UUID], *, code: str) -> None:
    """End attempts that never were sent."""
    if not attempt_ids:
        return
    await run(
        tx,
        """
        UPDATE payment_attempts SET state = 'declined', error = %(code)s, updated_at = now()
        WHERE id = ANY (%(ids)b::uuid[]) AND state = 'created'
        """,
        {"ids": list(attempt_ids), "code": code},
    )


async def record(tx: AsyncConnection, outcomes: Sequence[tuple[Step, Outcome]]) -> None:
    """Write what came of calls, and the ledger entries of the money that moved or did not."""
    await settle(tx, [(step.attempt, state_after(step, o), o) for step, o in outcomes])
    moved = [
        (step.call.order_id, step.attempt, step.call.amount.currency, outcome)
        for step, outcome in outcomes
        if isinstance(outcome, Succeeded)
    ]
    await ledger.append(tx, moved)
    undone = [
        step.attempt.id
        for step, outcome in outcomes
        if step.attempt.state is AttemptState.SUCCEEDED and isinstance(outcome, Declined)
    ]
    await ledger.reverse(tx, undone)


async def settle(
    tx: AsyncConnection, outcomes: Sequence[tuple[Attempt, AttemptState, Outcome]]
) -> None:
    """Write the states of attempts and what is known of them.

    One that never left has not been sent: the gateway's window begins when it is.
    """
    await run(
        tx,
        """
        UPDATE payment_attempts a
        SET state = v.state, gateway_ref = coalesce(v.gateway_ref, a.gateway_ref),
            error = v.error, fee_minor = v.fee_minor, expires_at = v.expires_at,
            client_secret = CASE v.state WHEN 'action_required'
                            THEN coalesce(v.client_secret, a.client_secret) END,
            sent_at = CASE WHEN v.state <> 'created' THEN a.sent_at END, updated_at = now()
        FROM unnest(%(id)b::uuid[], %(state)b::text[], %(gateway_ref)b::text[],
                    %(error)b::text[], %(fee_minor)b::bigint[], %(expires_at)b::timestamptz[],
                    %(client_secret)b::text[])
          AS v (id, state, gateway_ref, error, fee_minor, expires_at, client_secret)
        WHERE a.id = v.id
        """,
        {
            "id": [attempt.id for attempt, _, _ in outcomes],
            "state": [state.value for _, state, _ in outcomes],
            "gateway_ref": [_gateway_ref(outcome) for _, _, outcome in outcomes],
            "error": [_error(outcome) for _, _, outcome in outcomes],
            "fee_minor": [_fee(outcome) for _, _, outcome in outcomes],
            "expires_at": [
                outcome.expires_at if isinstance(outcome, Succeeded) else None
                for _, _, outcome in outcomes
            ],
            "client_secret": [
                outcome.client_secret if isinstance(outcome, ActionRequired) else None
                for _, _, outcome in outcomes
            ],
        },
    )


async def is_of_another(
    tx: AsyncConnection, order_id: UUID, *, gateway: str, gateway_ref: str
) -> bool:
    """Tell whether another order has what a gateway calls so."""
    a = tables.payment_attempts.c
    query = select(a.id).where(
        a.gateway_ref == gateway_ref, a.gateway == gateway, a.order_id != order_id
    )
    return (await tx.scalars(query.limit(1))).first() is not None


async def states(tx: AsyncConnection, attempt_ids: Sequence[UUID]) -> Mapping[UUID, AttemptState]:
    """Read how attempts stand now."""
    a = tables.payment_attempts.c
    found = await tx.execute(select(a.id, a.state).where(a.id.in_(attempt_ids)))
    return {attempt_id: AttemptState(state) for attempt_id, state in found}


async def refunds(tx: AsyncConnection, order_id: UUID, refs: Sequence[str]) -> Sequence[UUID]:
    """Find the refunds of an order that a gateway may speak of under one of its references.

    One whose answer is not recorded yet has no reference of ours, so it may be any.
    """
    a = tables.payment_attempts.c
    named = or_(a.gateway_ref.in_(refs), a.gateway_ref.is_(None))
    query = select(a.id).where(
        a.order_id == order_id, a.kind == "refund", a.state.in_(_MAY_FAIL), named
    )
    return (await tx.scalars(query)).all()


async def page(tx: AsyncConnection, order_id: UUID) -> list[AttemptView]:
    """Read all attempts of an order, oldest first."""
    a = tables.payment_attempts.c
    shown = [getattr(a, name) for name in AttemptView.__struct_fields__]
    query = select(*shown).where(a.order_id == order_id).order_by(a.created_at, a.id)
    return [AttemptView(*row) for row in await tx.execute(query)]


def _gateway_ref(outcome: Outcome) -> str | None:
    return outcome.gateway_ref if isinstance(outcome, Succeeded | ActionRequired) else None


def _fee(outcome: Outcome) -> int:
    return outcome.fee_minor if isinstance(outcome, Succeeded) else 0


def _error(outcome: Outcome) -> str | None:
    match outcome:
        case Succeeded() | ActionRequired():
            return None
        case Declined(code):
            return code
        case Unknown(reason) | Unsent(reason):
            return reason
        case Held():
            return "The gateway is out of service: its breaker is open."
