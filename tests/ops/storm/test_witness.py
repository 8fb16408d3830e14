import psycopg

from db.engine import Database
from ops.storm import witness
from tests.builders import a_placement, place, put_products


async def test_every_write_to_a_task_is_witnessed(database: Database, database_url: str) -> None:
    await put_products(database, TEA=10)
    (order_id,) = await place(database, a_placement(("TEA", 2)))
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await witness.call(connection)

        await connection.execute(
            "UPDATE tasks SET state = 'running', attempt = attempt + 1, lease_until = now()"
        )
        await connection.execute(
            "UPDATE tasks SET state = 'done', lease_until = NULL, finished_at = now()"
        )

        heard = await witness.hear(connection)
        await connection.rollback()
    assert [(w.order_id, w.was, w.was_attempt, w.became, w.attempt) for w in heard] == [
        (str(order_id), "ready", 0, "running", 1),
        (str(order_id), "running", 1, "done", 1),
    ]
