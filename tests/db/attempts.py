"""Attempts as a payment worker writes them: sent, then settled by an outcome."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import payments, tables
from domain.attempt import Step
from domain.funds import Attempt, AttemptKind, AttemptState, Payable
from domain.money import Money
from domain.payment import (
    Charge,
    Outcome,
)
from domain.status import Status
from tests.builders import a_payable, a_task, an_attempt

TOTAL = Money(1000, "GBP")


def an_asked(kind: AttemptKind = AttemptKind.CHARGE, amount_minor: int = 1000) -> Attempt:
    """An attempt as it is decided: nothing of it is written yet."""
    return an_attempt(kind, AttemptState.CREATED, amount_minor, gateway_ref=None)


def to_pay(order_id: UUID) -> Payable:
    return msgspec.structs.replace(a_payable(), order_id=order_id)


def a_step(order_id: UUID, attempt: Attempt) -> Step:
    return Step(
        a_task(order_id=order_id),
        attempt,
        Charge(attempt.id, order_id, TOTAL, "pm_card_visa"),
        Status.RESERVED,
        wanted=True,
        overdue=False,
        holds=False,
        keyed=True,
    )


async def send(tx: AsyncConnection, order_id: UUID, *attempts: Attempt) -> None:
    await payments.send(tx, [(to_pay(order_id), attempt) for attempt in attempts])


async def record(tx: AsyncConnection, order_id: UUID, attempt: Attempt, outcome: Outcome) -> None:
    await payments.record(tx, [(a_step(order_id, attempt), outcome)])


async def settled(
    tx: AsyncConnection, order_id: UUID, attempt: Attempt, outcome: Outcome | None
) -> Attempt:
    """Send an attempt and, if there is one, record its outcome."""
    await send(tx, order_id, attempt)
    if outcome is not None:
        await record(tx, order_id, attempt, outcome)
    return attempt


async def rows(tx: AsyncConnection) -> Sequence[Any]:
    query = select(tables.payment_attempts).order_by(tables.payment_attempts.c.created_at)
    return (await tx.execute(query)).all()


async def booked(tx: AsyncConnection, attempt: Attempt) -> dict[str, int]:
    query = "SELECT account, amount_minor FROM ledger_entries WHERE transaction_id = :id"
    found = await tx.execute(text(query), {"id": attempt.id})
    return {row.account: row.amount_minor for row in found}
