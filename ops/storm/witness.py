"""A witness within Postgres: every change of a task's state or attempt, as it was committed."""

from collections.abc import Sequence

import msgspec
import psycopg
from psycopg.rows import args_row

# Of the storm's own database alone; the platform knows nothing of it.
_WITNESS = """
CREATE TABLE storm_writes (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id bigint NOT NULL, was text NOT NULL, was_attempt int NOT NULL,
    became text NOT NULL, attempt int NOT NULL
);
CREATE FUNCTION storm_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO storm_writes (task_id, was, was_attempt, became, attempt)
    VALUES (old.id, old.state, old.attempt, new.state, new.attempt);
    RETURN NULL;
END $$;
-- Not noted is what a person does to dead work, as no worker could: a discard, or a replay, which
-- gives many attempts at once.
CREATE TRIGGER storm_note AFTER UPDATE OF state, attempt ON tasks
FOR EACH ROW WHEN (NOT (old.state = 'dead' AND (new.state = 'cancelled' OR new.state = 'ready'
    AND new.payload ? 'replayed' AND new.attempts_max > old.attempts_max + 1)))
EXECUTE FUNCTION storm_note();
"""
_WRITTEN = """
SELECT w.task_id, t.order_id::text, w.was, w.was_attempt, w.became, w.attempt
FROM storm_writes w LEFT JOIN tasks t ON t.id = w.task_id ORDER BY w.n
"""


class WriteRow(msgspec.Struct, frozen=True):
    """One write to a task: what it was, and what it became."""

    task_id: int
    order_id: str | None
    was: str
    was_attempt: int
    became: str
    attempt: int


async def call(connection: psycopg.AsyncConnection) -> None:
    """Have every write to a task noted from now on."""
    await connection.execute(_WITNESS)


async def hear(connection: psycopg.AsyncConnection) -> Sequence[WriteRow]:
    """Tell what was written, in its order."""
    async with connection.cursor(row_factory=args_row(WriteRow)) as cursor:
        await cursor.execute(_WRITTEN)
        return await cursor.fetchall()
