"""An order to be charged, and what became of that."""

from uuid import UUID

import pytest

from db import orders
from db.engine import Database, transaction
from domain import order
from domain.event import CancelReason
from domain.task import Kind
from tests.builders import a_placement, place, put_products
from tests.records import (
    work,
)
from tests.stages import drain_inventory

TOTAL = 1000


@pytest.fixture
async def order_id(database: Database) -> UUID:
    """An order whose stock is held, to be charged."""
    return await reserved(database)


async def reserved(database: Database, payment_method: str = "pm_card_visa") -> UUID:
    await put_products(database, APPLE=10)
    [order_id] = await place(database, a_placement(("APPLE", 2), payment_method=payment_method))
    await drain_inventory(database)
    return order_id


async def cancel(database: Database, order_id: UUID) -> None:
    async with transaction(database) as tx:
        await orders.change(
            tx, order_id, lambda was: order.cancel(was, reason=CancelReason.CUSTOMER)
        )


async def charge_of(database: Database, order_id: UUID) -> tuple[str, int, str | None]:
    task = await work(database, order_id, Kind.CHARGE)
    return task.state, task.attempt, task.last_error
