"""Reconciliation of payments that were made before its period and changed in it."""

from db.engine import Database
from db.ids import new_id
from domain.money import Money
from domain.payment import Refund, Unknown
from domain.reconciliation import Difference
from ops.config import Settings
from tests.bank import Bank
from tests.records import make_due
from tests.workers.paid import (
    attempt_of,
    confirmed,
    paid_last_week,
    reconcile,
    refunded_here,
    rewrite,
    schedule,
    still_open,
)


async def test_refund_of_an_old_payment_that_only_the_gateway_knows_is_a_finding(
    database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = await paid_last_week(database, settings, bank)
    attempt_id, ref = await attempt_of(database, order_id)
    await bank.execute(Refund(new_id(), order_id, Money(300, "GBP"), ref))
    await schedule(database)

    await reconcile(database, settings, bank)

    [finding] = await still_open(database)
    assert (finding.kind, finding.subject) == (Difference.REFUNDED_AMOUNT, str(attempt_id))


async def test_refund_of_an_old_payment_that_only_we_know_is_a_finding(
    database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = await paid_last_week(database, settings, bank)
    attempt_id, ref = await attempt_of(database, order_id)
    await refunded_here(database, 300)
    await schedule(database)

    await reconcile(database, settings, bank)

    [finding] = await still_open(database)
    assert (finding.kind, finding.subject) == (Difference.REFUNDED_AMOUNT, str(attempt_id))
    assert bank.looked == [ref]


async def test_old_charge_that_a_person_took_for_undone_but_was_captured_is_a_finding(
    database: Database, settings: Settings, bank: Bank
) -> None:
    await paid_last_week(database, settings, bank)
    await rewrite(database, "UPDATE payment_attempts SET state = 'declined', updated_at = now()")
    await schedule(database)

    await reconcile(database, settings, bank)

    assert [f.kind for f in await still_open(database)] == [Difference.CAPTURED_THERE_ONLY]


async def test_old_payment_that_changed_here_and_is_gone_there_is_missing(
    database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = await paid_last_week(database, settings, bank)
    await refunded_here(database, 300)
    await schedule(database)

    await reconcile(database, settings, Bank())

    [finding] = await still_open(database)
    assert (finding.kind, finding.order_id) == (Difference.MISSING_THERE, order_id)


async def test_changed_payment_that_agrees_is_looked_at_once(
    database: Database, settings: Settings, bank: Bank
) -> None:
    await paid_last_week(database, settings, bank)
    await rewrite(database, "UPDATE payment_attempts SET updated_at = now()")
    for _ in range(2):
        await schedule(database)
        await reconcile(database, settings, bank)

    assert await still_open(database) == []
    assert await confirmed(database) == 1
    assert len(bank.looked) == 1


async def test_old_payment_that_did_not_change_is_left_alone(
    database: Database, settings: Settings, bank: Bank
) -> None:
    await paid_last_week(database, settings, bank)
    await schedule(database)

    await reconcile(database, settings, bank)

    assert bank.looked == []
    assert await confirmed(database) == 0


async def test_changed_payment_that_cannot_be_read_is_read_later(
    database: Database, settings: Settings, bank: Bank
) -> None:
    await paid_last_week(database, settings, bank)
    await refunded_here(database, 300)
    await schedule(database)
    bank.unread.append(Unknown("Timeout."))

    await reconcile(database, settings, bank)
    at_first = await still_open(database)
    await make_due(database)
    await reconcile(database, settings, bank)

    assert at_first == []
    assert [f.kind for f in await still_open(database)] == [Difference.REFUNDED_AMOUNT]
