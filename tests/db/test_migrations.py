"""Migrations make the schema that the code believes in, and can be run beside a live system."""

import asyncio
import io
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier
from sqlalchemy.engine import make_url

from tests.db.backends import Admin
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]

# What tells two schemas apart.
SCHEMA = """
    SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default)
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', oid::regclass, reloptions) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT name FROM queues
    UNION ALL SELECT version_num FROM alembic_version
    ORDER BY 1
    """


@pytest.fixture
def alembic(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Alembic over this worker's own database; what it prints is in `output_buffer`."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    return Config(toml_file=ROOT / "pyproject.toml", output_buffer=io.StringIO())


def _printed(alembic: Config) -> str:
    command.upgrade(alembic, "head", sql=True)
    assert isinstance(alembic.output_buffer, io.StringIO)
    return alembic.output_buffer.getvalue()


@pytest.fixture
async def empty(database_url: str, admin: Admin) -> AsyncGenerator[Admin]:
    """A connection to a database without any table."""
    dbname = f"{admin.info.dbname}_empty"
    name = Identifier(dbname)
    await admin.execute(SQL("DROP DATABASE IF EXISTS {}").format(name))
    await admin.execute(SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
    url = make_conninfo(database_url, dbname=dbname)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as made:
        yield made
    await admin.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def test_tables_of_the_code_are_those_of_the_migrations(alembic: Config) -> None:
    command.check(alembic)


def test_migrations_are_one_chain(alembic: Config) -> None:
    assert len(ScriptDirectory.from_config(alembic).get_heads()) == 1


def test_migrating_what_is_migrated_changes_nothing(alembic: Config, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        before = connection.execute(SCHEMA).fetchall()
        connection.commit()

        command.upgrade(alembic, "head")

        assert connection.execute(SCHEMA).fetchall() == before


async def test_printed_migrations_make_the_same_schema(
    alembic: Config, admin: Admin, empty: Admin
) -> None:
    # One by one, as psql does: an index that is built beside the traffic is in no transaction.
    for statement in _printed(alembic).split(";\n\n"):
        await empty.execute(statement.encode())

    made = await (await empty.execute(SCHEMA)).fetchall()
    assert made == await (await admin.execute(SCHEMA)).fetchall()


def test_migrations_hold_up_nobody_as_far_as_squawk_knows(alembic: Config) -> None:
    # Alembic's own table is not ours to change.
    sql = re.sub(r"CREATE TABLE alembic_version .*?;", "", _printed(alembic), flags=re.DOTALL)
    first, *parts = re.split(r"^(?=BEGIN;)|(?<=^COMMIT;)", sql, flags=re.MULTILINE)

    # What is in a transaction and what is not are told apart only in files of their own.
    assert [found for part in parts if (found := _linted(first + part))] == []


def _linted(sql: str) -> str:
    squawk = shutil.which("squawk", path=Path(sys.executable).parent)
    assert squawk, "squawk is missing: pip install -r .ci/requirements.txt"
    linted = subprocess.run(  # noqa: S603 - our own SQL
        [squawk, "--config", ROOT / ".squawk.toml"],
        input=sql,
        capture_output=True,
        text=True,
        check=False,
    )
    return linted.stdout if linted.returncode else ""


async def _asking(admin: Admin) -> bool:
    """Tell whether a migrator has asked for its turn and waits outside of any transaction."""
    found = await admin.execute(
        """
        SELECT FROM pg_stat_activity WHERE datname = current_database()
        AND pid <> pg_backend_pid() AND state = 'idle' AND query = 'ROLLBACK'
        """
    )
    return found.rowcount == 1


async def test_second_migrator_waits_for_the_first_and_holds_it_up_in_nothing(
    alembic: Config, admin: Admin
) -> None:
    await admin.execute("SELECT pg_advisory_lock(hashtext('orderflow migrations'))")

    second = asyncio.create_task(asyncio.to_thread(command.upgrade, alembic, "head"))
    await eventually(partial(_asking, admin))
    await admin.execute("REINDEX INDEX CONCURRENTLY payment_attempts_open")
    assert not second.done()
    await admin.execute("SELECT pg_advisory_unlock(hashtext('orderflow migrations'))")

    await second


async def test_migration_that_failed_half_way_is_done_again(
    alembic: Config, empty: Admin, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url(database_url).set(database=empty.info.dbname)
    monkeypatch.setenv("DATABASE_URL", url.render_as_string(hide_password=False))
    await asyncio.to_thread(command.upgrade, alembic, "0002")
    # Such is left of an index whose building was interrupted.
    await empty.execute("CREATE INDEX orders_unpaid ON orders (email)")
    await empty.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_unpaid'::regclass"
    )

    for _ in range(2):
        await empty.execute("UPDATE alembic_version SET version_num = '0002'")
        await asyncio.to_thread(command.upgrade, alembic, "0004")
    await asyncio.to_thread(command.upgrade, alembic, "head")
    await empty.execute("UPDATE alembic_version SET version_num = '0005'")
    await asyncio.to_thread(command.upgrade, alembic, "head")

    found = await empty.execute("SELECT FROM pg_index WHERE NOT indisvalid")
    assert found.rowcount == 0
    await asyncio.to_thread(command.check, alembic)


# An order of the first release that was charged and refunded, and one that is being charged.
LEFT = """
    INSERT INTO orders (id, email, status, cancel_reason, currency, total_minor, payment_method,
                        ship_to, version)
    SELECT gen_random_uuid(), 'ann@example.com', status, reason, 'GBP', 1000, 'pm_card_visa',
           '{}', 1
    FROM (VALUES ('cancelled', 'customer'), ('reserved', NULL)) AS o (status, reason);
    INSERT INTO payment_attempts (id, order_id, kind, state, amount_minor, currency, gateway)
    SELECT gen_random_uuid(), id, kind, state, 1000, 'GBP', 'stripe' FROM orders JOIN (VALUES
        ('cancelled', 'charge', 'succeeded'), ('cancelled', 'refund', 'succeeded'),
        ('reserved', 'charge', 'unknown')) AS a (status, kind, state) USING (status);
    INSERT INTO ledger_entries (transaction_id, account, order_id, amount_minor, currency)
    SELECT id, account, order_id, CASE kind WHEN 'refund' THEN -minor ELSE minor END, currency
    FROM payment_attempts, (VALUES ('gateway_cash', 1000), ('receivable', -1000))
      AS side (account, minor) WHERE state = 'succeeded';
    """


async def test_what_the_first_release_left_is_filled_in(
    alembic: Config, empty: Admin, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url(database_url).set(database=empty.info.dbname)
    monkeypatch.setenv("DATABASE_URL", url.render_as_string(hide_password=False))
    await asyncio.to_thread(command.upgrade, alembic, "0001")
    await empty.execute(LEFT)

    await asyncio.to_thread(command.upgrade, alembic, "head")

    sent = await empty.execute("SELECT sent_at = created_at FROM payment_attempts")
    assert sorted(await sent.fetchall(), key=str) == [(None,), (None,), (True,)]
    held = await empty.execute(
        "SELECT reserved_until > now() + interval '59 min' FROM orders WHERE status = 'reserved'"
    )
    assert await held.fetchall() == [(True,)]
    booked = await empty.execute("SELECT account, amount_minor FROM ledger_entries ORDER BY 2, 1")
    assert await booked.fetchall() == [
        ("gateway_cash", -1000),
        ("receivable", -1000),
        ("gateway_cash", 1000),
        ("refunds", 1000),
    ]
