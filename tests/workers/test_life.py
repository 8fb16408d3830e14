"""The plain path: an order goes from placed to paid and notified."""

from db import events, orders
from db.engine import Database, transaction
from domain.task import Queue
from ops.config import Settings
from tests.builders import a_placement, place, put_products
from tests.stages import run_stages


async def test_order_is_reserved_paid_and_notified(
    database: Database, settings: Settings, rung: list[frozenset[Queue]]
) -> None:
    await put_products(database, APPLE=10)
    [order_id] = await place(database, a_placement(("APPLE", 3)))

    await run_stages(database, settings)

    async with transaction(database) as tx:
        assert (await orders.get(tx, order_id)).status == "paid"
        kinds = [entry.kind for entry in await events.page(tx, order_id)]
    assert kinds == ["order_placed", "stock_reserved", "order_paid"]
    assert rung == [{Queue.INVENTORY}, {Queue.PAYMENTS}, {Queue.NOTIFICATIONS}]
