"""Migrations make the schema that the code believes in, and can be run beside a live system."""

import asyncio
import io
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator
from enum import StrEnum
from itertools import product
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import Database
from db.ids import new_id
from domain.attempt import AttemptKind, AttemptState
from domain.event import CancelReason
from domain.saga import STOCK_EFFECTS
from domain.status import MOVES, Status
from domain.task import Queue, State
from tests.builders import a_placement, place, put_products
from tests.db.backends import Admin, until_blocked

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
    await empty.execute(_printed(alembic).encode())

    made = await (await empty.execute(SCHEMA)).fetchall()
    assert made == await (await admin.execute(SCHEMA)).fetchall()


def test_migrations_hold_up_nobody_as_far_as_squawk_knows(alembic: Config) -> None:
    # Alembic's own table is not ours to change.
    sql = re.sub(r"CREATE TABLE alembic_version .*?;", "", _printed(alembic), flags=re.DOTALL)
    squawk = shutil.which("squawk", path=Path(sys.executable).parent)
    assert squawk, "squawk is missing: pip install -r .ci/requirements.txt"

    linted = subprocess.run(  # noqa: S603 - our own SQL
        [squawk, "--config", ROOT / ".squawk.toml"],
        input=sql,
        capture_output=True,
        text=True,
        check=False,
    )

    assert linted.returncode == 0, linted.stdout


async def test_second_migrator_waits_for_the_first(alembic: Config, admin: Admin) -> None:
    await admin.execute("SELECT pg_advisory_lock(hashtext('orderflow migrations'))")

    second = asyncio.create_task(asyncio.to_thread(command.upgrade, alembic, "head"))
    await until_blocked(admin)
    assert not second.done()
    await admin.execute("SELECT pg_advisory_unlock(hashtext('orderflow migrations'))")

    await second


@pytest.mark.parametrize(
    ("table", "column", "values"),
    [
        ("orders", "status", Status),
        ("orders", "cancel_reason", CancelReason),
        ("tasks", "state", State),
        ("payment_attempts", "kind", AttemptKind),
        ("payment_attempts", "state", AttemptState),
        ("reservations", "state", {e.reservation for e in STOCK_EFFECTS.values()}),
        ("notifications", "state", {"pending", "sent", "refused"}),
        ("ledger_entries", "account", {"receivable", "gateway_cash"}),
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

    assert set(re.findall(r"'(\w+)'", definition)) == set(values)


async def test_every_queue_of_the_code_has_its_row(tx: AsyncConnection) -> None:
    names = (await tx.execute(text("SELECT name FROM queues"))).scalars()

    assert set(names) == set(Queue)


async def test_only_a_declined_attempt_makes_room_for_another(tx: AsyncConnection) -> None:
    query = "SELECT pg_get_indexdef('payment_attempts_live'::regclass)"
    definition = (await tx.execute(text(query))).scalar_one()

    assert "UNIQUE" in definition
    live = set(re.findall(r"'(\w+)'", definition))
    assert live == set(AttemptState) - {AttemptState.DECLINED}


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
        "UPDATE products SET price_minor = 0",
        "UPDATE queues SET running_max = -1",
    ],
)
async def test_what_cannot_be_is_refused_by_the_table(
    tx: AsyncConnection, database: Database, corruption: str
) -> None:
    await put_products(database, APPLE=10)
    await place(database, a_placement(("APPLE", 3)))

    with pytest.raises(IntegrityError, match="violates check constraint"):
        await tx.execute(text(corruption))
