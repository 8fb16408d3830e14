import asyncio
from collections import Counter
from io import BytesIO
from pathlib import Path
from uuid import UUID

from db.engine import Database, transaction
from ops.sandbox.mailbox import Mailbox
from ops.storm.evidence import gather, mails
from ops.storm.healing import heal
from ops.storm.history import History
from ops.storm.resources import Resources
from tests.builders import a_placement, place, put_products

NOTHING = Resources({}, {}, connections=0, keys=0)


async def _an_order(database: Database) -> UUID:
    await put_products(database, TEA=10)
    (order_id,) = await place(database, a_placement(("TEA", 2)))
    return order_id


async def _run(database: Database, statement: str) -> None:
    async with transaction(database) as tx:
        await tx.exec_driver_sql(statement)


async def test_platform_without_work_is_at_rest_at_once(
    database: Database, database_url: str
) -> None:
    del database

    healing = await heal(database_url, within_s=0.0)

    assert healing.seconds is not None
    assert healing.left == ()


async def test_order_under_way_and_its_work_are_not_at_rest(
    database: Database, database_url: str
) -> None:
    order_id = await _an_order(database)

    healing = await heal(database_url, within_s=0.0)

    assert healing.seconds is None
    status, task = sorted(healing.left)
    assert status == f"order {order_id} is placed"
    assert task.startswith(f"order {order_id}: task ")


async def test_order_in_review_is_at_rest_once_it_was_looked_at_again(
    database: Database, database_url: str
) -> None:
    await _an_order(database)
    await _run(database, "UPDATE orders SET status = 'reserved'")
    await _run(database, "UPDATE orders SET status = 'review'")
    await _run(database, "UPDATE tasks SET run_at = now() + interval '1 hour'")
    seen: list[int] = []
    waiting = asyncio.Event()

    def told(left: int) -> None:
        seen.append(left)
        waiting.set()

    healing = asyncio.create_task(heal(database_url, told))
    await waiting.wait()
    await _run(database, "UPDATE tasks SET attempt = attempt + 1 WHERE run_at <= now()")

    assert (await asyncio.wait_for(healing, 10)).seconds is not None
    assert seen[0] == 1


async def test_healing_is_waited_for(database: Database, database_url: str) -> None:
    await _an_order(database)
    seen: list[int] = []
    waiting = asyncio.Event()

    def told(left: int) -> None:
        seen.append(left)
        waiting.set()

    healing = asyncio.create_task(heal(database_url, told))
    await waiting.wait()
    await _run(database, "UPDATE tasks SET state = 'done', finished_at = now()")
    await _run(database, "UPDATE orders SET status = 'cancelled', cancel_reason = 'customer'")

    assert (await asyncio.wait_for(healing, 10)).seconds is not None
    assert seen[0] == 2
    assert seen[-1] == 0


async def test_evidence_is_what_postgres_has(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    order_id = str(await _an_order(database))

    found = await gather(
        database_url,
        tmp_path,
        history=History(BytesIO()),
        stocked={"TEA": 10},
        writes=(),
        before=NOTHING,
        after=NOTHING,
    )

    assert found.orders[order_id].items == {"TEA": 2}
    assert [(e.order_id, e.version, e.kind) for e in found.events] == [
        (order_id, 1, "order_placed")
    ]
    assert [(row.sku, row.on_hand, row.reserved) for row in found.stock] == [("TEA", 10, 0)]
    assert [key.order_id for key in found.keys] == [order_id]
    assert [(task.kind, task.state) for task in found.tasks] == [("reserve", "ready")]
    assert found.broken == []


async def test_mails_are_counted_by_their_message_id(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    for name in ("one", "two", "one"):
        raw = f"Message-ID: <{name}@orderflow>\r\nSubject: x\r\n\r\ny".encode()
        mailbox.keep("orders@example.com", ["ann@example.com"], raw)
    mailbox.journal.close()

    counted = Counter(message_id for message_id, _ in mails(tmp_path))
    assert counted == {"one@orderflow": 2, "two@orderflow": 1}
