"""Reconciliation: what the gateway's books show and ours do not, and the other way about."""

import asyncio
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text

from db import tables
from db.engine import Database, transaction
from db.ids import new_id
from domain.money import Money
from domain.payment import Capture, Refund, Statement, Unknown, Unsent
from domain.reconciliation import Difference
from domain.task import Kind, Queue
from ops.config import Settings
from tests.bank import PART_MAX, Bank
from tests.records import make_due
from tests.stages import drain_payments
from tests.workers.charges import reserved
from tests.workers.paid import (
    TOTAL,
    a_foreign_charge,
    paid,
    reconcile,
    schedule,
    still_open,
)
from workers.reconciliation import SOUGHT_MAX


async def confirmed(database: Database) -> int:
    """Count the attempts that the gateway was seen to have as we have them."""
    a = tables.payment_attempts.c
    async with transaction(database) as tx:
        return len((await tx.scalars(select(a.id).where(a.reconciled_at.is_not(None)))).all())


async def attempt_of(database: Database, order_id: UUID) -> tuple[UUID, str]:
    """Read the id of an order's charge and the bank's name for it."""
    a = tables.payment_attempts.c
    async with transaction(database) as tx:
        query = select(a.id, a.gateway_ref).where(a.order_id == order_id)
        attempt_id, ref = (await tx.execute(query)).one()
        return attempt_id, ref or ""


async def tasks_to_reconcile(database: Database) -> list[tuple[str, str | None]]:
    t = tables.tasks.c
    async with transaction(database) as tx:
        query = select(t.state, t.last_error).where(t.kind == Kind.RECONCILE.value).order_by(t.id)
        return [(state, error) for state, error in await tx.execute(query)]


async def rewrite(database: Database, change: str) -> None:
    """Have our books say something else."""
    async with transaction(database) as tx:
        await tx.execute(text(change))


async def test_books_that_agree_have_every_charge_confirmed_and_no_finding(
    database: Database, settings: Settings, bank: Bank
) -> None:
    await paid(database, settings, bank, count=2)
    await paid(database, settings, bank, capture=Capture.MANUAL)
    await schedule(database)

    await reconcile(database, settings, bank)

    assert await still_open(database) == []
    assert await confirmed(database) == 3
    assert "find" not in bank.verbs()
    assert {state for state, _ in await tasks_to_reconcile(database)} == {"done"}


async def test_payment_that_is_only_in_the_books_of_the_gateway_is_a_finding(
    database: Database, settings: Settings, bank: Bank
) -> None:
    foreign = a_foreign_charge()
    await bank.execute(foreign)
    await schedule(database)

    await reconcile(database, settings, bank)

    [finding] = await still_open(database)
    assert finding.kind == Difference.UNKNOWN_HERE
    assert finding.order_id == foreign.order_id


async def test_books_are_read_to_their_last_page(
    database: Database, settings: Settings, bank: Bank
) -> None:
    for _ in range(2 * PART_MAX + 1):
        await bank.execute(a_foreign_charge())
    await schedule(database)

    await reconcile(database, settings, bank)

    assert len(await still_open(database)) == 2 * PART_MAX + 1


async def test_charges_that_are_only_in_our_books_are_findings_however_many(
    database: Database, settings: Settings, bank: Bank
) -> None:
    count = 2 * SOUGHT_MAX + 1
    ids = await paid(database, settings, bank, count=count)
    await schedule(database)

    await reconcile(database, settings, forgetful := Bank())

    found = await still_open(database)
    assert {finding.kind for finding in found} == {Difference.MISSING_THERE}
    assert {finding.order_id for finding in found} == set(ids)
    assert forgetful.verbs() == ["find"] * count
    assert await confirmed(database) == 0


async def test_charge_that_the_list_does_not_show_but_the_gateway_knows_is_confirmed(
    database: Database, settings: Settings, bank: Bank
) -> None:
    [order_id] = await paid(database, settings, bank)
    attempt_id, _ = await attempt_of(database, order_id)
    blind = Bank()
    blind.found.append(await bank.execute(a_foreign_charge()))
    await schedule(database)

    await reconcile(database, settings, blind)

    assert await still_open(database) == []
    assert blind.asked == [("find", attempt_id)]
    assert await confirmed(database) == 1


async def test_charge_within_the_window_of_the_gateway_is_not_missed_yet(
    database: Database, settings: Settings, bank: Bank
) -> None:
    await reserved(database)
    await drain_payments(database, settings, bank)
    await schedule(database)

    await reconcile(database, settings, blind := Bank())

    assert await still_open(database) == []
    assert blind.verbs() == []


async def test_refund_that_only_the_gateway_knows_is_a_finding_about_our_charge(
    database: Database, settings: Settings, bank: Bank
) -> None:
    [order_id] = await paid(database, settings, bank)
    attempt_id, ref = await attempt_of(database, order_id)
    await bank.execute(Refund(new_id(), order_id, Money(300, "GBP"), ref))
    await schedule(database)

    await reconcile(database, settings, bank)

    [finding] = await still_open(database)
    assert (finding.kind, finding.subject) == (Difference.REFUNDED_AMOUNT, str(attempt_id))
    assert "find" not in bank.verbs()


async def test_charge_that_we_took_for_declined_but_was_captured_is_a_finding(
    database: Database, settings: Settings, bank: Bank
) -> None:
    await paid(database, settings, bank)
    await rewrite(
        database, "UPDATE payment_attempts SET state = 'declined', updated_at = created_at"
    )
    await schedule(database)

    await reconcile(database, settings, bank)

    assert [f.kind for f in await still_open(database)] == [Difference.CAPTURED_THERE_ONLY]


async def test_difference_that_is_gone_closes_its_finding_by_itself(
    database: Database, settings: Settings, bank: Bank
) -> None:
    await paid(database, settings, bank)
    await rewrite(database, "UPDATE payment_attempts SET currency = 'EUR'")
    await schedule(database)
    await reconcile(database, settings, bank)
    before = [finding.kind for finding in await still_open(database)]

    await rewrite(database, "UPDATE payment_attempts SET currency = 'GBP'")
    await schedule(database)
    await reconcile(database, settings, bank)

    assert before == [Difference.CURRENCY]
    assert await still_open(database) == []
    assert await confirmed(database) == 1


async def test_charge_that_was_missing_and_shows_up_closes_its_finding(
    database: Database, settings: Settings, bank: Bank
) -> None:
    await paid(database, settings, bank)
    await schedule(database)
    await reconcile(database, settings, Bank())
    before = [finding.kind for finding in await still_open(database)]

    await schedule(database)
    await reconcile(database, settings, bank)

    assert before == [Difference.MISSING_THERE]
    assert await still_open(database) == []


async def test_difference_that_stays_is_one_finding_however_often_it_is_found(
    database: Database, settings: Settings, bank: Bank
) -> None:
    await bank.execute(a_foreign_charge())
    await schedule(database)
    await reconcile(database, settings, bank)
    [first] = await still_open(database)

    await schedule(database)
    await reconcile(database, settings, bank)

    assert await still_open(database) == [first]


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
