"""Orders that were paid at a bank, and the books of both sides compared."""

from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import select, text

from db import findings, tables, tasks
from db.engine import Database, transaction
from db.findings import FindingView
from db.ids import new_id
from domain.money import Money
from domain.payment import Capture, Charge, Gateway
from domain.reconciliation import Portion
from domain.task import Kind
from ops.config import Settings
from tests.bank import Bank
from tests.builders import a_placement, place, put_products
from tests.records import sent_long_ago
from tests.stages import a_cashier, drain_inventory, drain_payments
from workers import leased, reconciliation
from workers.bell import Bell
from workers.reconciliation import task_for

TOTAL = 1000


async def paid(
    database: Database,
    settings: Settings,
    bank: Bank,
    *,
    count: int = 1,
    capture: Capture = Capture.AUTOMATIC,
) -> list[UUID]:
    """Orders that were paid so long ago that the bank has to know of it."""
    await put_products(database, APPLE=1000)
    wanted = [a_placement(("APPLE", 2), capture=capture) for _ in range(count)]
    ids = await place(database, *wanted)
    await drain_inventory(database)
    await drain_payments(database, settings, bank)
    for order_id in ids:
        await sent_long_ago(database, order_id)
    return ids


async def paid_last_week(database: Database, settings: Settings, bank: Bank) -> UUID:
    """An order that was paid before the period that tests reconcile."""
    [order_id] = await paid(database, settings, bank)
    bank.age(timedelta(days=7))
    past = "now() - interval '7 days'"
    await rewrite(
        database,
        f"UPDATE payment_attempts SET sent_at = {past}, created_at = {past}, updated_at = {past}",  # noqa: S608 - of ours
    )
    return order_id


async def refunded_here(database: Database, minor: int) -> None:
    """Have our books say that each order just got money back, of which no gateway knows."""
    await rewrite(
        database,
        "INSERT INTO payment_attempts (id, order_id, kind, state, amount_minor, currency, gateway,"  # noqa: S608 - of ours
        f" sent_at) SELECT gen_random_uuid(), order_id, 'refund', 'succeeded', {minor}, currency,"
        " gateway, now() - interval '2 hours' FROM payment_attempts",
    )


def a_foreign_charge(minor: int = 500) -> Charge:
    """A charge that somebody else makes at the bank."""
    return Charge(new_id(), new_id(), Money(minor, "GBP"), "pm_card_visa")


def period() -> tuple[datetime, datetime]:
    """The last day and the next minute."""
    now = datetime.now(UTC)
    return now - timedelta(days=1), now + timedelta(minutes=1)


async def schedule(database: Database, gateway: str = "bank") -> None:
    async with transaction(database) as tx:
        await tasks.schedule(tx, task_for(Portion(gateway, *period())))


async def reconcile(database: Database, settings: Settings, *gateways: Gateway) -> None:
    """Do what is due of reconciliations, to the end."""
    tills = a_cashier(database, settings, *gateways).tills
    stage = reconciliation.stage(reconciliation.Clerk(database, tills, settings))
    await Bell(partial(leased.drain, stage)).answer()


async def still_open(database: Database) -> list[FindingView]:
    """Read the open findings, oldest first."""
    async with transaction(database) as tx:
        found = await findings.page(tx, is_open=True, before=None, limit=1000)
    return found[::-1]


async def confirmed(database: Database) -> int:
    """Count the attempts that the gateway was seen to have as we have them."""
    a = tables.payment_attempts.c
    async with transaction(database) as tx:
        return len((await tx.scalars(select(a.id).where(a.reconciled_at.is_not(None)))).all())


async def attempt_of(database: Database, order_id: UUID) -> tuple[UUID, str]:
    """Read the id of an order's charge and the bank's name for it."""
    a = tables.payment_attempts.c
    async with transaction(database) as tx:
        query = select(a.id, a.gateway_ref).where(a.order_id == order_id)
        attempt_id, ref = (await tx.execute(query)).one()
        return attempt_id, ref or ""


async def tasks_to_reconcile(database: Database) -> list[tuple[str, str | None]]:
    t = tables.tasks.c
    async with transaction(database) as tx:
        query = select(t.state, t.last_error).where(t.kind == Kind.RECONCILE.value).order_by(t.id)
        return [(state, error) for state, error in await tx.execute(query)]


async def rewrite(database: Database, change: str) -> None:
    """Have our books say something else."""
    async with transaction(database) as tx:
        await tx.execute(text(change))
