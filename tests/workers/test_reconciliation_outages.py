"""Reconciliation while money moves, and while the gateway or its answers are away."""

import asyncio
from datetime import datetime

from db.engine import Database
from domain.payment import Statement, Unknown, Unsent
from domain.reconciliation import Difference
from domain.task import Queue
from ops.config import Settings
from tests.bank import Bank
from tests.records import make_due
from tests.stages import drain_payments
from tests.workers.charges import reserved
from tests.workers.paid import (
    TOTAL,
    a_foreign_charge,
    confirmed,
    paid,
    reconcile,
    rewrite,
    schedule,
    still_open,
    tasks_to_reconcile,
)


async def test_open_charge_is_no_difference_and_is_looked_up_at_once(
    database: Database, settings: Settings, bank: Bank, rung: list[frozenset[Queue]]
) -> None:
    bank.answers_lost = 1
    order_id = await reserved(database)
    await drain_payments(database, settings, bank)
    await schedule(database)
    rung.clear()

    await reconcile(database, settings, bank)

    assert await still_open(database) == []
    assert await confirmed(database) == 0
    assert Queue.PAYMENTS in frozenset().union(*rung)
    await drain_payments(database, settings, bank)
    assert bank.verbs() == ["charge", "find"]
    assert bank.takings(order_id) == [TOTAL]


class SlowBank(Bank):
    """A bank whose books take a while from being read to being here."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.sent = asyncio.Event(), asyncio.Event()

    async def statement(
        self, since: datetime, until: datetime, cursor: str | None
    ) -> Statement | Unsent | Unknown:
        page = await super().statement(since, until, cursor)
        self.read.set()
        await self.sent.wait()
        return page


async def test_money_that_moves_while_the_books_are_read_is_no_difference(
    database: Database, settings: Settings
) -> None:
    bank = SlowBank()
    await paid(database, settings, bank)
    await schedule(database)
    reading = asyncio.create_task(reconcile(database, settings, bank))
    await bank.read.wait()

    move = "UPDATE payment_attempts SET amount_minor = 900, updated_at = clock_timestamp()"
    await rewrite(database, move)
    bank.sent.set()
    await reading
    while_it_moved = await still_open(database)
    await rewrite(database, "UPDATE payment_attempts SET updated_at = created_at")
    await schedule(database)
    await reconcile(database, settings, bank)

    assert while_it_moved == []
    assert Difference.CAPTURED_AMOUNT in {finding.kind for finding in await still_open(database)}


async def test_gateway_that_is_down_is_asked_again_later(
    database: Database, settings: Settings, bank: Bank
) -> None:
    await bank.execute(a_foreign_charge())
    await schedule(database)
    bank.down = True

    await reconcile(database, settings, bank)
    waiting = await tasks_to_reconcile(database)
    bank.down = False
    await make_due(database)
    await reconcile(database, settings, bank)

    assert waiting == [("ready", "No connection.")]
    assert len(await still_open(database)) == 1


async def test_lookup_that_fails_is_no_finding_until_nobody_tries_any_more(
    database: Database, settings: Settings, bank: Bank
) -> None:
    ids = await paid(database, settings, bank, count=2)
    await schedule(database)
    deaf = Bank()
    deaf.found.extend([Unknown("Timeout."), await bank.execute(a_foreign_charge())])

    await reconcile(database, settings, deaf)
    at_first = await still_open(database)
    deaf.found.append(Unknown("Timeout."))
    await rewrite(database, "UPDATE tasks SET attempts_max = attempt + 1 WHERE state = 'ready'")
    await make_due(database)
    await reconcile(database, settings, deaf)

    assert at_first == []
    [finding] = await still_open(database)
    assert finding.kind == Difference.MISSING_THERE
    assert finding.order_id in ids
    assert "Timeout" in finding.detail
    assert await confirmed(database) == 1


async def test_gateway_that_is_not_configured_any_more_waits_for_its_settings(
    database: Database, settings: Settings, bank: Bank
) -> None:
    await schedule(database, "closed_down")

    await reconcile(database, settings, bank)

    [(state, error)] = await tasks_to_reconcile(database)
    assert state == "ready"
    assert error == "Gateway closed_down is not in PAYMENT_GATEWAYS: name it there again."


async def test_charges_of_another_gateway_are_not_looked_for(
    database: Database, settings: Settings, bank: Bank
) -> None:
    await paid(database, settings, bank)
    await schedule(database, "other")

    await reconcile(database, settings, Bank("other"))

    assert await still_open(database) == []
