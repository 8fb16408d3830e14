"""An error of Postgres is an outage, is busy or is a bug: each asks for something else."""

import asyncio
import traceback
from collections.abc import Sequence
from typing import LiteralString

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import Busy, Collision, Database, Unavailable, driver, run, transaction
from tests.db.backends import Admin, in_transaction


@pytest.mark.parametrize("use_core", [False, True])
async def test_lock_held_too_long_by_somebody_else_is_busy(
    impatient: Database, admin: Admin, *, use_core: bool
) -> None:
    held = "SELECT FROM queues WHERE name = 'payments' FOR UPDATE"

    async def lock(tx: AsyncConnection) -> None:
        await (tx.exec_driver_sql(held) if use_core else run(tx, held, {}))

    async with admin.transaction():
        await admin.execute(held)
        with pytest.raises(Busy, match="lock timeout"):
            await in_transaction(impatient, lock)


async def test_statement_that_takes_too_long_is_busy(impatient: Database) -> None:
    async def doze(tx: AsyncConnection) -> None:
        await run(tx, "SELECT pg_sleep(20)", {})

    with pytest.raises(Busy, match="statement timeout"):
        await in_transaction(impatient, doze)


async def test_deadlock_ends_one_transaction_as_a_collision(database: Database) -> None:
    both_hold = asyncio.Barrier(2)

    async def lock_in_turn(*names: str) -> None:
        async with transaction(database) as tx:
            for name in names:
                params = {"name": name}
                await run(tx, "SELECT FROM queues WHERE name = %(name)s FOR UPDATE", params)
                if name == names[0]:
                    await both_hold.wait()

    outcomes = await asyncio.gather(
        lock_in_turn("payments", "inventory"),
        lock_in_turn("inventory", "payments"),
        return_exceptions=True,
    )

    assert [type(outcome) for outcome in outcomes if outcome] == [Collision]


@pytest.mark.parametrize(
    ("sqlstates", "refusal"),
    [
        (["08006", "25006", "25P03", "53100", "53200", "53300", "57P03", "58030"], Unavailable),
        (["55P03", "57014"], Busy),
        (["40001", "40P01"], Collision),
        (["22021", "23505", "23514", "42P01", "XX000"], psycopg.Error),
    ],
)
async def test_error_of_the_server_is_told_by_its_sqlstate(
    database: Database, sqlstates: Sequence[str], refusal: type[Exception]
) -> None:
    for sqlstate in sqlstates:
        fail = f"DO $$ BEGIN RAISE 'so be it' USING ERRCODE = '{sqlstate}'; END $$"

        async def break_down(tx: AsyncConnection, fail: str = fail) -> None:
            await (await driver(tx)).execute(fail.encode())

        with pytest.raises(refusal, match="so be it") as raised:
            await in_transaction(database, break_down)
        assert refusal is psycopg.Error or type(raised.value) is refusal


async def test_broken_constraint_is_no_outage(database: Database) -> None:
    twice = "INSERT INTO queues (name) VALUES ('payments')"

    with pytest.raises(psycopg.errors.UniqueViolation):
        await in_transaction(database, lambda tx: run(tx, twice, {}))
    with pytest.raises(IntegrityError):
        await in_transaction(database, lambda tx: tx.exec_driver_sql(twice))


INSERT: LiteralString = """
    INSERT INTO users (id, email, email_folded, role)
    VALUES (gen_random_uuid(), %(email)s, %(email)s, %(role)s)
"""


@pytest.mark.parametrize("role", ["no role", "customer"])
async def test_error_quotes_no_row(database: Database, role: str) -> None:
    # A row of no role, and one whose address somebody has.
    person = {"email": "admin@orderflow.test", "role": role}

    for insert in (
        lambda tx: run(tx, INSERT, person),
        lambda tx: tx.exec_driver_sql(INSERT, person),
    ):
        with pytest.raises((psycopg.Error, IntegrityError), match="violates") as raised:
            await in_transaction(database, insert)
        assert "admin@orderflow.test" not in "".join(traceback.format_exception(raised.value))
