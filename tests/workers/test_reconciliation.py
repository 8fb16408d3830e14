"""Reconciliation: what the gateway's books show and ours do not, and the other way about."""

from db.engine import Database
from db.ids import new_id
from domain.money import Money
from domain.payment import Capture, Refund
from domain.reconciliation import Difference
from ops.config import Settings
from tests.bank import PART_MAX, Bank
from tests.stages import drain_payments
from tests.workers.charges import reserved
from tests.workers.paid import (
    a_foreign_charge,
    attempt_of,
    confirmed,
    paid,
    reconcile,
    rewrite,
    schedule,
    still_open,
    tasks_to_reconcile,
)
from workers.reconciliation import SOUGHT_MAX


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
