"""Connections to Postgres break in the middle of everything: nothing is lost or done twice."""

from functools import partial

from db.engine import Database
from tests.bank import Bank
from tests.builders import a_placement, place, put_products
from tests.postbox import Postbox
from tests.records import assert_sound, at_rest, shelf, statuses, terminate
from tests.scenarios.processes import Surroundings, running
from tests.waiting import eventually

ORDERS = 60
CUTS = 5


async def test_connections_that_break_again_and_again_lose_nothing(
    database: Database, surroundings: Surroundings, bank: Bank, postbox: Postbox
) -> None:
    await put_products(database, APPLE=100)
    async with running(surroundings, "worker-1", "worker-2", "clock"):
        for cut in range(1, CUTS + 1):
            share = ORDERS // CUTS
            await place(database, *(a_placement(("APPLE", 1)) for _ in range(share)))
            await eventually(partial(charged, bank, share * (cut - 1) + 1))
            await terminate(database)
        await eventually(partial(at_rest, database))

    assert await statuses(database) == {"paid": ORDERS}
    assert len(bank.charged()) == ORDERS
    assert len({mail.message_id for mail in postbox.mails}) == ORDERS
    assert await shelf(database, "APPLE") == (40, 0)
    await assert_sound(database)


async def charged(bank: Bank, orders: int) -> bool:
    """Tell whether so many orders have been charged."""
    return len(bank.charged()) >= orders
