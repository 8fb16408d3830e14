"""The clock has the books of every gateway compared once a night."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import select, text

from db import tables
from db.engine import Database, transaction
from domain.reconciliation import Portion
from domain.task import Kind
from ops.config import Settings
from workers import clock
from workers.gateways.names import names

DAY = timedelta(days=1)
OVERLAP = timedelta(hours=1)


async def portions(database: Database) -> list[Portion]:
    t = tables.tasks.c
    async with transaction(database) as tx:
        query = select(t.payload).where(t.kind == Kind.RECONCILE.value).order_by(t.id)
        return [msgspec.convert(payload, Portion) for payload in await tx.scalars(query)]


async def let_days_pass(database: Database, days: int) -> None:
    async with transaction(database) as tx:
        past = text("UPDATE cron_runs SET slot = slot - make_interval(days => :days)")
        await tx.execute(past, {"days": days})


async def midnight(database: Database) -> datetime:
    async with transaction(database) as tx:
        now: datetime = (await tx.execute(text("SELECT now()"))).scalar_one()
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


async def test_day_before_is_reconciled_with_every_gateway_and_an_hour_of_overlap(
    database: Database,
) -> None:
    await clock.run_once(database, ["one", "two"])

    this = await midnight(database)
    period = this - DAY - OVERLAP, this
    assert await portions(database) == [Portion("one", *period), Portion("two", *period)]


async def test_it_is_done_once_a_night_however_many_clocks_there_are(database: Database) -> None:
    await asyncio.gather(*(clock.run_once(database, ["bank"]) for _ in range(3)))
    await clock.run_once(database, ["bank"])

    assert len(await portions(database)) == 1


async def test_nights_that_no_clock_saw_are_made_up_for(database: Database) -> None:
    await clock.run_once(database, ["bank"])
    await let_days_pass(database, 3)

    await clock.run_once(database, ["bank"])

    this = await midnight(database)
    assert (await portions(database))[-1] == Portion("bank", this - 3 * DAY - OVERLAP, this)


@pytest.mark.parametrize(
    ("gateways", "expected"),
    [
        ("", ["stripe"]),
        ("one=https://sk_1@a.example", ["one"]),
        ("one=https://sk_1@a.example, two=https://sk_2@b.example,", ["one", "two"]),
    ],
)
def test_gateways_are_named_as_the_settings_name_them(gateways: str, expected: list[str]) -> None:
    assert names(Settings(payment_gateways=gateways)) == expected
