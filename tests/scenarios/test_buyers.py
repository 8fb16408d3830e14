"""Many buyers for little stock: nobody is sold what is not there, nobody is left waiting."""

import asyncio
from collections import Counter
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import msgspec

from db import events
from db.engine import Database, transaction
from tests.bank import Bank
from tests.builders import put_products
from tests.records import assert_sound, at_rest, shelf, statuses
from tests.scenarios.processes import Surroundings, running
from tests.scenarios.web import clients, until_up
from tests.waiting import eventually
from tests.web import post_order

BUYERS = 200
UNITS = 10


async def test_two_hundred_buyers_for_ten_units(
    database: Database, surroundings: Surroundings, bank: Bank
) -> None:
    await put_products(database, APPLE=UNITS, PEAR=UNITS)
    surroundings = in_small_groups(surroundings)
    processes = ("web", "worker-1", "worker-2", "clock")
    async with running(surroundings, *processes), clients(surroundings) as client:
        await until_up(client)
        deadlocks_before = await deadlocks(database)
        answered = await asyncio.gather(*(buy(client, buyer) for buyer in range(BUYERS)))
        await eventually(partial(at_rest, database))

    assert Counter(answer.status_code for answer in answered) == {202: BUYERS}
    assert await statuses(database) == {"paid": UNITS, "cancelled": BUYERS - UNITS}
    assert len(bank.charged()) == UNITS
    assert await shelf(database, "APPLE") == await shelf(database, "PEAR") == (0, 0)
    ends = [await end_of(database, UUID(answer.json()["id"])) for answer in answered]
    assert [end for end in ends if end != ("order_paid", None, ())] == [
        ("order_cancelled", "out_of_stock", ("APPLE", "PEAR"))
    ] * (BUYERS - UNITS)
    assert await deadlocks(database) == deadlocks_before
    await assert_sound(database)


def in_small_groups(surroundings: Surroundings) -> Surroundings:
    """Have many transactions compete, where two would do."""
    small = msgspec.structs.replace(surroundings.settings, group_max=5)
    return msgspec.structs.replace(surroundings, settings=small)


async def buy(client: httpx.AsyncClient, buyer: int) -> httpx.Response:
    """Ask for one unit each of two products; half of the buyers name them the other way round."""
    items = [("APPLE", 1), ("PEAR", 1)]
    return await post_order(client, *(items if buyer % 2 else reversed(items)))


async def end_of(database: Database, order_id: UUID) -> tuple[str, Any, tuple[str, ...]]:
    """Read kind, reason and missing SKUs of an order's last event."""
    async with transaction(database) as tx:
        last = (await events.page(tx, order_id))[-1]
    short = sorted(lack["sku"] for lack in last.data.get("short", ()))
    return last.kind, last.data.get("reason"), tuple(short)


async def deadlocks(database: Database) -> int:
    """Count the deadlocks there ever were; processes that ended have reported theirs."""
    async with transaction(database) as tx:
        found = await tx.exec_driver_sql(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        return found.scalar_one()
