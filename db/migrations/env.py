"""Alembic's entry: brings the database that DATABASE_URL names to the newest schema."""

import sys
from threading import Event

import psycopg
from alembic import context
from psycopg.errors import InsufficientPrivilege, ReadOnlySqlTransaction
from sqlalchemy import Connection, Engine, create_engine, event, pool, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from db.link import address
from db.tables import metadata
from ops.config import SettingInvalid, settings

# A migration that cannot get its lock gives up rather than queue every order behind it.
LOCK_TIMEOUT = "SET lock_timeout = '5s'"
# How often a migrator looks whether another one has ended.
ASK_AGAIN_S = 0.2
# The oldest that is still maintained; `date_bin`, which `clock` needs, came with 14.
SERVER_MIN = 15
CONNECT_TIMEOUT_S = 10
_REMEDY = "correct DATABASE_URL"
# What a migration meets that is no fault of its own, and what to do about it.
_REFUSED = {
    InsufficientPrivilege: f"grant that user what is missing, or {_REMEDY}",
    ReadOnlySqlTransaction: "name the primary, not a replica, in DATABASE_URL",
}


def run_offline() -> None:
    """Print the SQL instead of running it."""
    context.configure(
        dialect_name="postgresql",
        target_metadata=metadata,
        literal_binds=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.execute(LOCK_TIMEOUT)
        context.run_migrations()


def run_online() -> None:
    """Migrate, one transaction per migration; a second migrator waits for the first."""
    engine = _engine()
    with engine.connect() as connection:
        _wait_for_others(connection)
        connection.execute(text(LOCK_TIMEOUT))
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=metadata,
            compare_server_default=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


def _wait_for_others(connection: Connection) -> None:
    """Become the only migrator.

    By asking now and then: a statement that waits would keep the other one from building indexes
    beside the traffic, which waits for whatever has begun before.
    """
    ours = text("SELECT pg_try_advisory_lock(hashtext('orderflow migrations'))")
    while not connection.scalar(ours):
        connection.rollback()
        Event().wait(ASK_AGAIN_S)
    connection.commit()


def _engine() -> Engine:
    """Make the engine. Exits if DATABASE_URL cannot be one of Postgres; a password is not shown."""
    try:
        given = settings().database_url
    except SettingInvalid as error:
        sys.exit(str(error))
    if not given:
        sys.exit("DATABASE_URL is empty: set it, or start everything with `make up`.")
    try:
        url = address(given)
    except (ArgumentError, ValueError):
        # Neither says more than that, and the second quotes what may be a piece of a password.
        sys.exit("DATABASE_URL is not a URL: write postgresql://user:secret@host:port/name.")
    if url.drivername not in {"postgresql", "postgresql+psycopg"}:
        sys.exit(f"DATABASE_URL begins with {url.drivername}://: it must be postgresql://.")
    if "@" in (url.host or ""):
        sys.exit("DATABASE_URL has two `@`: write the one in the password as %40.")
    timeout = {"connect_timeout": CONNECT_TIMEOUT_S}
    engine = create_engine(url, poolclass=pool.NullPool, connect_args=timeout)
    # Before SQLAlchemy asks the server anything, which might already fail on an old one.
    event.listen(engine, "connect", _refuse_old_server, insert=True)
    return engine


def _refuse_old_server(connection: psycopg.Connection, _record: object) -> None:
    version = connection.info.server_version
    if version < SERVER_MIN * 10_000:
        sys.exit(
            f"DATABASE_URL names Postgres {version // 10_000}: {SERVER_MIN} or newer is needed; "
            "upgrade it or name another."
        )


def _explained(error: DBAPIError) -> str | None:
    """Say what is wrong around us; None if it is the migration that is wrong."""
    cause = error.orig
    for kind, remedy in _REFUSED.items():
        if isinstance(cause, kind):
            return f"DATABASE_URL: {cause.diag.message_primary}: {remedy}."
    if isinstance(cause, psycopg.Error) and cause.sqlstate is None:
        # No server has spoken: it was not reached, or the client understood an option not.
        reason = str(cause).partition("\n")[0].strip()
        return f"DATABASE_URL cannot be used ({reason}): start that Postgres, or {_REMEDY}."
    return None


if context.is_offline_mode():
    run_offline()
else:
    try:
        run_online()
    except DBAPIError as failure:
        if explained := _explained(failure):
            sys.exit(explained)
        raise
