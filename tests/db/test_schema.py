"""The schema allows exactly what the code can say, and refuses what cannot be."""

import re
from enum import StrEnum
from itertools import product

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import Database
from db.ids import new_id
from db.processes import ProcessKind
from domain.account import AccountTier, Revoked
from domain.bulk import BulkAction, BulkState
from domain.code import Purpose
from domain.event import CancelReason
from domain.funds import OPEN, TAKING, AttemptKind, AttemptState
from domain.ledger import Account
from domain.payment import Capture, OnDecline
from domain.principal import Role, Tier
from domain.saga import STOCK_EFFECTS
from domain.status import MOVES, Status
from domain.stock import Cause
from domain.task import Queue, State
from tests.builders import a_placement, place, put_products


@pytest.mark.parametrize(
    ("table", "column", "values"),
    [
        ("orders", "status", Status),
        ("orders", "cancel_reason", CancelReason),
        ("tasks", "state", State),
        ("payment_attempts", "kind", AttemptKind),
        ("payment_attempts", "state", AttemptState),
        ("reservations", "state", {e.reservation for e in STOCK_EFFECTS.values() if e.reservation}),
        ("notifications", "state", {"pending", "sent", "refused"}),
        ("ledger_entries", "account", Account),
        ("orders", "capture", Capture),
        ("orders", "on_decline", OnDecline),
        ("api_keys", "tier", set(Tier) - {Tier.ANONYMOUS}),
        ("gateway_breakers", "state", {"closed", "half-open", "open"}),
        ("gateway_breaker_changes", "state", {"closed", "half-open", "open"}),
        ("gateway_switches", "forced", {"closed", "open"}),
        ("stock_movements", "cause", Cause),
        ("stock_events", "kind", {"stock_low", "stock_replenished"}),
        ("processes", "kind", ProcessKind),
        ("task_bulks", "action", BulkAction),
        ("task_bulks", "state", BulkState),
        ("users", "role", Role),
        ("users", "tier", AccountTier),
        ("sessions", "revoked_reason", Revoked),
        ("one_time_codes", "purpose", Purpose),
        ("account_notices", "state", {"pending", "sent", "refused"}),
    ],
)
async def test_column_allows_exactly_the_values_of_the_code(
    tx: AsyncConnection, table: str, column: str, values: type[StrEnum] | set[str]
) -> None:
    query = """
        SELECT pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid = cast(:table AS regclass) AND conname = :name
        """
    params = {"table": table, "name": f"{table}_{column}_check"}
    definition = (await tx.execute(text(query), params)).scalar_one()

    assert set(re.findall(r"'([\w-]+)'", definition)) == set(values)


@pytest.mark.parametrize(
    "rewriting",
    ["UPDATE audit_log SET actor = NULL", "DELETE FROM audit_log", "TRUNCATE audit_log"],
)
async def test_audit_log_cannot_be_rewritten(tx: AsyncConnection, rewriting: str) -> None:
    with pytest.raises(IntegrityError, match="the audit log is append-only"):
        await tx.execute(text(rewriting))


async def test_every_queue_of_the_code_has_its_row(tx: AsyncConnection) -> None:
    names = (await tx.execute(text("SELECT name FROM queues"))).scalars()

    assert set(names) == set(Queue)


async def _values_of(tx: AsyncConnection, index: str) -> set[str]:
    """Read the values that a unique index is limited to."""
    query = text("SELECT pg_get_indexdef(cast(:index AS regclass))")
    definition = (await tx.execute(query, {"index": index})).scalar_one()
    assert "UNIQUE" in definition
    return set(re.findall(r"'(\w+)'", definition))


async def test_only_a_declined_charge_makes_room_for_another(tx: AsyncConnection) -> None:
    live = set(AttemptState) - {AttemptState.DECLINED}

    assert await _values_of(tx, "payment_attempts_taking") == live | TAKING


async def test_one_operation_of_an_order_may_be_open(tx: AsyncConnection) -> None:
    assert await _values_of(tx, "payment_attempts_open") == OPEN


INSERT = text(
    """
    INSERT INTO orders (id, email, status, cancel_reason, currency, total_minor,
                        payment_method, ship_to, version)
    VALUES (:id, 'a@x', :status, :reason, 'GBP', 1, 'pm', '{}', 1)
    """
)
UPDATE = text("UPDATE orders SET status = :status, cancel_reason = :reason WHERE id = :id")


async def _refused_by(tx: AsyncConnection, was: Status, to: Status) -> str | None:
    """Move an order by SQL alone; returns the constraint that refuses, if one does."""
    order_id = new_id()
    reasons = {Status.CANCELLED: "staff"}
    await tx.execute(INSERT, {"id": order_id, "status": was.value, "reason": reasons.get(was)})
    try:
        async with tx.begin_nested():
            moved = {"id": order_id, "status": to.value, "reason": reasons.get(to)}
            await tx.execute(UPDATE, moved)
    except IntegrityError as error:
        return error.orig.diag.constraint_name if isinstance(error.orig, psycopg.Error) else None
    return None


async def test_postgres_refuses_exactly_the_moves_that_are_not_legal(tx: AsyncConnection) -> None:
    pairs = list(product(Status, Status))

    refused = {(was, to) for was, to in pairs if await _refused_by(tx, was, to)}

    assert refused == {(was, to) for was, to in pairs if to not in MOVES[was] | {was}}


async def test_refused_move_names_its_constraint(tx: AsyncConnection) -> None:
    assert await _refused_by(tx, Status.SHIPPED, Status.CANCELLED) == "orders_legal_move"


@pytest.mark.parametrize(
    "corruption",
    [
        "UPDATE orders SET cancel_reason = 'staff'",
        "UPDATE orders SET status = 'cancelled'",
        "UPDATE orders SET total_minor = 0",
        "UPDATE orders SET currency = 'gbp'",
        "UPDATE order_lines SET quantity = 0",
        "UPDATE order_lines SET unit_minor = -1",
        "UPDATE order_events SET version = 0",
        "UPDATE tasks SET state = 'running'",
        "UPDATE tasks SET state = 'done'",
        "UPDATE tasks SET lease_until = now()",
        "UPDATE tasks SET attempts_max = 0",
        "UPDATE variants SET price_minor = 0",
        "UPDATE queues SET running_max = -1",
        "UPDATE orders SET reserve_for_s = 0",
    ],
)
async def test_what_cannot_be_is_refused_by_the_table(
    tx: AsyncConnection, database: Database, corruption: str
) -> None:
    await put_products(database, APPLE=10)
    await place(database, a_placement(("APPLE", 3)))

    with pytest.raises(IntegrityError, match="violates check constraint"):
        await tx.execute(text(corruption))
