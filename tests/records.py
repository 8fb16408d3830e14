"""What the database says of orders and their work, and the passing of time in it."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy import Float, cast, extract, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import events, invariants, orders, stock, tables
from db.engine import Database, transaction
from domain.task import Kind, Queue


class TaskRow(msgspec.Struct, frozen=True):
    id: int
    state: str
    attempt: int
    due_in_s: float
    last_error: str | None


async def status(database: Database, order_id: UUID) -> str:
    async with transaction(database) as tx:
        return (await orders.get(tx, order_id)).status


async def statuses(database: Database) -> dict[str, int]:
    """Count all orders by status."""
    async with transaction(database) as tx:
        rows = await tx.execute(select(tables.orders.c.status))
        return dict(Counter(rows.scalars()))


async def timeline(database: Database, order_id: UUID) -> list[str]:
    async with transaction(database) as tx:
        return [entry.kind for entry in await events.page(tx, order_id)]


async def work(database: Database, order_id: UUID, kind: Kind) -> TaskRow:
    """Read the one task of a kind that an order has."""
    t = tables.tasks.c
    async with transaction(database) as tx:
        due_in_s = extract("epoch", t.run_at - func.now())
        query = select(t.id, t.state, t.attempt, cast(due_in_s, Float), t.last_error)
        found = await tx.execute(query.where(t.order_id == order_id, t.kind == kind.value))
        return TaskRow(*found.one())


async def attempts(database: Database, order_id: UUID) -> list[tuple[str, str]]:
    """Read kind and state of an order's payment attempts, oldest first."""
    a = tables.payment_attempts.c
    async with transaction(database) as tx:
        query = select(a.kind, a.state).where(a.order_id == order_id).order_by(a.id)
        return [(kind, state) for kind, state in await tx.execute(query)]


async def cash(database: Database, order_id: UUID) -> list[int]:
    """Read what the ledger says the gateway holds of an order, posting by posting."""
    entry = tables.ledger_entries.c
    async with transaction(database) as tx:
        query = select(entry.amount_minor).order_by(entry.created_at, entry.transaction_id)
        query = query.where(entry.order_id == order_id, entry.account == "gateway_cash")
        return list(await tx.scalars(query))


async def shelf(database: Database, sku: str) -> tuple[int, int]:
    """Read how many of a SKU are on hand, and how many of these are reserved."""
    async with transaction(database) as tx:
        level = await stock.find(tx, sku)
    assert level is not None
    return level.on_hand, level.reserved


async def unsettled(database: Database) -> Sequence[invariants.Unsettled]:
    async with transaction(database) as tx:
        return await invariants.unsettled(tx)


async def left(database: Database, queue: Queue) -> int:
    """Count the work of a queue that is not ended."""
    t = tables.tasks.c
    query = select(func.count()).where(t.queue == queue.value, t.state.in_(("ready", "running")))
    async with transaction(database) as tx:
        return await tx.scalar(query) or 0


async def attempts_left(database: Database, order_id: UUID, kind: Kind) -> int:
    """Read how many attempts the latest task of a kind has left before it is dead."""
    t = tables.tasks.c
    query = select(t.attempts_max - t.attempt).where(t.order_id == order_id, t.kind == kind.value)
    async with transaction(database) as tx:
        return await tx.scalar(query.order_by(t.id.desc()).limit(1)) or 0


async def expire(database: Database, order_id: UUID) -> None:
    """Let the time pass for which an order's stock is held."""
    async with transaction(database) as tx:
        past = text("UPDATE orders SET reserved_until = now() WHERE id = :id")
        await tx.execute(past, {"id": order_id})


async def sent_long_ago(database: Database, order_id: UUID, *, by_s: float = 7200) -> None:
    """Let time pass since an order's attempts were sent: more than the gateway's window."""
    async with transaction(database) as tx:
        past = text(
            "UPDATE payment_attempts SET sent_at = sent_at - make_interval(secs => :by_s)"
            " WHERE order_id = :id"
        )
        await tx.execute(past, {"id": order_id, "by_s": by_s})


async def at_rest(database: Database) -> bool:
    """Tell whether there is an order, and no work left for any."""
    return bool(await statuses(database)) and not await unsettled(database)


async def assert_sound(database: Database) -> None:
    """No invariant that Postgres can tell is broken."""
    async with transaction(database) as tx:
        assert await invariants.check(tx) == []


async def make_due(database: Database) -> None:
    """Let the time pass that work waits before it is tried again."""
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE tasks SET run_at = now() WHERE state = 'ready'"))


async def end_leases(database: Database) -> None:
    """Let the time pass that workers have for what they hold."""
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE tasks SET lease_until = now() WHERE state = 'running'"))


async def limit(database: Database, queue: Queue, running_max: int) -> None:
    """Have at most so many tasks of a queue run at a time."""
    async with transaction(database) as tx:
        change = text("UPDATE queues SET running_max = :running_max WHERE name = :name")
        await tx.execute(change, {"name": queue.value, "running_max": running_max})


async def pause(database: Database, queue: Queue, *, paused: bool = True) -> None:
    """Have a queue hold its work, or go on."""
    async with transaction(database) as tx:
        change = text("UPDATE queues SET paused = :paused WHERE name = :name")
        await tx.execute(change, {"name": queue.value, "paused": paused})


async def be_patient(tx: AsyncConnection) -> None:
    """Let this transaction idle with its locks for as long as a test needs them."""
    await tx.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))


async def waits_for_a_lock(database: Database, name: str) -> bool:
    """Tell whether a process of that name waits for a lock."""
    async with transaction(database) as tx:
        found = await tx.execute(
            text(
                "SELECT FROM pg_stat_activity WHERE application_name = :name"
                " AND datname = current_database() AND wait_event_type = 'Lock'"
            ),
            {"name": name},
        )
        return found.first() is not None


async def terminate(database: Database) -> None:
    """Break all connections to the database but our own, as a restart of Postgres does."""
    async with transaction(database) as tx:
        await tx.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
