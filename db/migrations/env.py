"""Alembic's entry: brings the database that DATABASE_URL names to the newest schema."""

from alembic import context
from sqlalchemy import create_engine, pool, text

from db.tables import metadata
from ops.config import settings

# A migration that cannot get its lock gives up rather than queue every order behind it.
LOCK_TIMEOUT = "SET lock_timeout = '5s'"


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
    engine = create_engine(settings().database_url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(hashtext('orderflow migrations'))"))
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


if context.is_offline_mode():
    run_offline()
else:
    run_online()
