import asyncio

from api.reception import Reception
from db import inbox
from db.engine import Busy, Database, transaction
from db.inbox import Message
from tests.web import rows


def a_message(n: int) -> Message:
    name = f"evt_{n}"
    return Message("stripe", name, "charge.succeeded", {"id": name}, None, ())


async def test_messages_that_come_together_are_kept_together(database: Database) -> None:
    reception = Reception(database, group_max=100)

    await asyncio.gather(*(reception.keep(a_message(n)) for n in range(20)))

    assert (await rows(database))["inbox"] == 20
    async with transaction(database) as tx:
        xmins = await tx.exec_driver_sql("SELECT DISTINCT xmin::text FROM inbox")
    assert len(xmins.all()) < 20


async def test_only_a_message_that_somebody_else_is_keeping_is_refused(database: Database) -> None:
    reception = Reception(database, group_max=100)

    async with transaction(database) as tx:
        await inbox.insert_many(tx, [a_message(1)])
        told = await asyncio.gather(
            *(reception.keep(a_message(n)) for n in range(4)), return_exceptions=True
        )

    assert [type(outcome) for outcome in told] == [type(None), Busy, type(None), type(None)]
