"""A worker killed while it captures, voids, refunds or undoes: nothing is lost or doubled."""

from functools import partial
from uuid import UUID

import pytest

from db.engine import Database
from domain.payment import Capture
from ops.config import Settings
from tests.bank import Bank
from tests.door import Door
from tests.records import assert_sound, at_rest, attempts, cash, status
from tests.scenarios.processes import Surroundings, lose, running
from tests.stages import settle_payments
from tests.waiting import eventually
from tests.workers.charges import TOTAL, cancel, capture, refund, reserved, void

ASK = {"capture": capture, "void": void, "refund": refund, "undo": cancel}
# What the gateway is asked last, and what it has moved and still holds in the end.
DONE = {
    "capture": ("capture", [TOTAL], 0),
    "void": ("void", [], 0),
    "refund": ("refund", [TOTAL, -TOTAL], 0),
    "undo": ("refund", [TOTAL, -TOTAL], 0),
}


async def asked_for(database: Database, settings: Settings, bank: Bank, what: str) -> UUID:
    """An order that was paid, of which something is asked."""
    manual = what in {"capture", "void"}
    order_id = await reserved(database, capture=Capture.MANUAL if manual else Capture.AUTOMATIC)
    await settle_payments(database, settings, bank)
    await ASK[what](database, order_id)
    return order_id


def door(bank: Bank, where: str) -> Door:
    return bank.entrance if where == "before" else bank.exit


@pytest.mark.parametrize("what", ["capture", "void", "refund", "undo"])
@pytest.mark.parametrize("where", ["before", "after"])
async def test_worker_killed_around_a_call(
    database: Database, surroundings: Surroundings, bank: Bank, what: str, where: str
) -> None:
    order_id = await asked_for(database, surroundings.settings, bank, what)
    stands = door(bank, where)
    stands.shut()
    async with running(surroundings, "worker", "clock") as fleet:
        await stands.until_waiting()
        verb, takings, held = DONE[what]
        sent = (await attempts(database, order_id))[-1]
        await lose(fleet, "worker", database)
        await stands.open()
        await eventually(partial(at_rest, database))

    asked = [(made, attempt_id) for made, attempt_id in bank.asked if made == verb]
    assert sent == (verb, "sent")
    assert len(asked) == (2 if where == "before" else 1)
    assert len(set(asked)) == 1
    assert await cash(database, order_id) == bank.takings(order_id) == takings
    assert bank.held(order_id) == held
    assert await status(database, order_id) == ("cancelled" if what == "undo" else "paid")
    await assert_sound(database)
