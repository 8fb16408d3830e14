from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, text

from db import tables, tasks
from db.engine import Database, transaction
from db.ids import new_id
from domain.attempt import AGAIN
from domain.money import Money
from domain.payment import Charge, Succeeded, Unknown
from domain.task import Queue
from ops.config import Settings
from tests.api.paid import TOTAL, Pay, ask, lost
from tests.api.routes import STAFF
from tests.bank import Bank
from tests.records import (
    assert_sound,
    attempts,
    cash,
    left,
    make_due,
    sent_long_ago,
    timeline,
)
from tests.stages import drain_payments, settle_payments
from tests.web import assert_problem, rows


@pytest.fixture
async def in_review(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank
) -> str:
    location = await lost(client, database, settings, bank)
    order_id = UUID(location.rpartition("/")[2])
    await sent_long_ago(database, order_id)
    bank.found.append(Unknown("The gateway is mute."))
    await make_due(database)
    await drain_payments(database, settings, bank)
    assert (await client.get(location)).json()["status"] == "review"
    return location


HAPPENED = {"outcome": "happened", "gateway_ref": "pi_1", "note": "Seen on the statement"}
DID_NOT = {"outcome": "did_not_happen", "note": "Not on the statement"}
FEE = 44


async def test_charge_that_did_not_happen_ends_the_order(
    client: httpx.AsyncClient, database: Database, in_review: str
) -> None:
    answer = await ask(client, f"{in_review}/resolve", DID_NOT)
    again = await ask(client, f"{in_review}/resolve", DID_NOT)

    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["operation"]) == ("cancelled", "charge")
    assert "The gateway is mute." in answer.json()["evidence"]
    assert_problem(again, 409, "illegal_move")
    told = (await client.get(f"{in_review}/events")).json()["events"]
    assert [entry["kind"] for entry in told][-2:] == ["payment_resolved", "order_cancelled"]
    assert told[-2]["data"] == {
        "attempt_id": answer.json()["attempt_id"],
        "outcome": "did_not_happen",
        "note": "Not on the statement",
        "actor": "staff",
        "evidence": answer.json()["evidence"],
    }
    assert await booked(client, in_review) == {}
    await assert_sound(database)


async def test_charge_that_happened_is_paid_with_its_fee_once_the_gateway_confirms_it(
    client: httpx.AsyncClient,
    database: Database,
    settings: Settings,
    bank: Bank,
    in_review: str,
) -> None:
    bank.fee_minor = FEE
    ref = await charged_late(bank, database, id_of(in_review))

    answer = await ask(client, f"{in_review}/resolve", HAPPENED | {"gateway_ref": ref})
    before = await booked(client, in_review)
    await drain_payments(database, settings, bank)

    assert (answer.status_code, answer.json()["status"]) == (202, "review")
    assert before == {}
    assert (await client.get(in_review)).json()["status"] == "paid"
    assert await booked(client, in_review) == {
        "gateway_cash": TOTAL - FEE,
        "fees": FEE,
        "receivable": -TOTAL,
    }
    told = await timeline(database, id_of(in_review))
    assert told[-2:] == ["payment_resolved", "order_paid"]
    await assert_sound(database)


async def test_word_about_the_payment_of_a_stranger_is_refused(
    client: httpx.AsyncClient, database: Database, in_review: str, pay: Pay
) -> None:
    paid = await pay()
    strangers = (await client.get(f"{paid}/payments", headers=STAFF)).json()["attempts"][0]
    before = await rows(database)

    word = HAPPENED | {"gateway_ref": strangers["gateway_ref"]}
    answer = await ask(client, f"{in_review}/resolve", word)

    assert_problem(answer, 409, "gateway_ref_refused", "gateway_ref")
    assert await rows(database) == before


@pytest.mark.parametrize("elsewhere", [True, False])
async def test_name_that_the_gateway_does_not_confirm_moves_nothing_and_is_corrected(  # noqa: PLR0913 - a table
    client: httpx.AsyncClient,
    database: Database,
    settings: Settings,
    bank: Bank,
    in_review: str,
    *,
    elsewhere: bool,
) -> None:
    ref = await charged_late(bank, database, id_of(in_review))
    wrong = await charged_elsewhere(bank) if elsewhere else "pi_of_nobody"

    await ask(client, f"{in_review}/resolve", HAPPENED | {"gateway_ref": wrong})
    await drain_payments(database, settings, bank)
    told = (await client.get(f"{in_review}/events")).json()["events"]
    status = (await client.get(in_review)).json()["status"]
    refund = await ask(client, f"{in_review}/refunds", {"reason": "duplicate"})
    await ask(client, f"{in_review}/resolve", HAPPENED | {"gateway_ref": ref})
    await settle_payments(database, settings, bank)

    why = f"{wrong} is of another attempt." if elsewhere else "The gateway has no payment"
    assert [entry["kind"] for entry in told][-2:] == ["payment_resolved", "payment_unknown"]
    assert why in told[-1]["data"]["reason"]
    assert status == "review"
    assert_problem(refund, 409, "illegal_move")
    assert (await client.get(in_review)).json()["status"] == "paid"
    assert bank.takings(id_of(in_review)) == [TOTAL]
    await assert_sound(database)


async def test_name_is_looked_up_until_the_gateway_answers(
    client: httpx.AsyncClient,
    database: Database,
    settings: Settings,
    bank: Bank,
    in_review: str,
) -> None:
    ref = await charged_late(bank, database, id_of(in_review))
    await ask(client, f"{in_review}/resolve", HAPPENED | {"gateway_ref": ref})
    bank.down = True
    await drain_payments(database, settings, bank)
    meanwhile = (await client.get(in_review)).json()["status"]
    bank.down = False

    await settle_payments(database, settings, bank)

    assert meanwhile == "review"
    assert (await client.get(in_review)).json()["status"] == "paid"
    await assert_sound(database)


async def test_word_with_the_same_key_is_taken_once_and_answered_alike(
    client: httpx.AsyncClient, database: Database, in_review: str
) -> None:
    first = await ask(client, f"{in_review}/resolve", DID_NOT, key="a-word")
    before = await timeline(database, id_of(in_review))
    again = await ask(client, f"{in_review}/resolve", DID_NOT, key="a-word")
    other = await ask(client, f"{in_review}/resolve", DID_NOT | {"note": "x"}, key="a-word")
    keyless = await client.post(f"{in_review}/resolve", json=DID_NOT, headers=STAFF)

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert_problem(other, 422, "idempotency_key_reused", "Idempotency-Key")
    assert_problem(keyless, 400, "idempotency_key_missing", "Idempotency-Key")
    assert await timeline(database, id_of(in_review)) == before


@pytest.mark.parametrize(
    ("word", "field"),
    [
        ({"outcome": "happened", "note": "x"}, "gateway_ref"),
        (DID_NOT | {"gateway_ref": "pi_1"}, "gateway_ref"),
        (HAPPENED | {"gateway_ref": "a b"}, "gateway_ref"),
        (DID_NOT | {"note": ""}, "note"),
        (DID_NOT | {"note": "x" * 501}, "note"),
        (DID_NOT | {"outcome": "perhaps"}, "outcome"),
    ],
)
async def test_a_word_that_says_too_little_or_too_much_is_refused(
    client: httpx.AsyncClient, in_review: str, word: dict[str, str], field: str
) -> None:
    answer = await ask(client, f"{in_review}/resolve", word)

    assert_problem(answer, 400, "invalid_request", field)
    assert (await client.get(in_review)).json()["status"] == "review"


async def test_what_is_known_or_still_being_asked_after_is_not_for_a_person(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank, pay: Pay
) -> None:
    paid, open_ = await pay(), await lost(client, database, settings, bank)
    before = await rows(database)

    for location in (paid, open_):
        answer = await ask(client, f"{location}/resolve", DID_NOT)
        assert_problem(answer, 409, "illegal_move")
    assert await rows(database) == before


async def test_a_word_waits_while_a_worker_may_be_asking_the_gateway(
    client: httpx.AsyncClient, database: Database, in_review: str
) -> None:
    await make_due(database)
    async with transaction(database) as tx:
        [asking] = await tasks.lease(tx, Queue.PAYMENTS, limit=1, lease_s=30)

    early = await ask(client, f"{in_review}/resolve", HAPPENED)
    async with transaction(database) as tx:
        await tasks.finish(tx, [(asking, AGAIN)], leased=True)
    later = await ask(client, f"{in_review}/resolve", HAPPENED)

    assert_problem(early, 409, "payment_in_progress")
    assert (later.status_code, later.json()["status"]) == (202, "review")


async def test_a_late_word_for_a_cancelled_order_gives_the_money_back(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank
) -> None:
    location = await lost(client, database, settings, bank)
    await client.post(f"{location}/cancel")
    order_id = id_of(location)
    early = await ask(client, f"{location}/resolve", HAPPENED)
    await sent_long_ago(database, order_id)
    ref = await charged_late(bank, database, order_id)

    late = await ask(client, f"{location}/resolve", HAPPENED | {"gateway_ref": ref})
    await settle_payments(database, settings, bank)

    assert_problem(early, 409, "illegal_move")
    assert (late.status_code, late.json()["status"]) == (202, "cancelled")
    told = await timeline(database, order_id)
    assert told[-3:] == ["payment_resolved", "late_payment", "payment_refunded"]
    assert bank.takings(order_id) == [TOTAL, -TOTAL]


async def test_a_charge_that_shows_after_all_is_given_back(
    client: httpx.AsyncClient,
    database: Database,
    settings: Settings,
    bank: Bank,
    in_review: str,
) -> None:
    order_id = UUID(in_review.rpartition("/")[2])
    answer = await ask(client, f"{in_review}/resolve", DID_NOT)
    await drain_payments(database, settings, bank)
    assert answer.status_code == 202
    assert await attempts(database, order_id) == [("charge", "declined")]
    assert bank.takings(order_id) == []

    await charged_late(bank, database, order_id)
    await settle_payments(database, settings, bank)

    assert await attempts(database, order_id) == [("charge", "succeeded"), ("refund", "succeeded")]
    assert await cash(database, order_id) == bank.takings(order_id) == [TOTAL, -TOTAL]
    told = await timeline(database, order_id)
    assert told[-2:] == ["late_payment", "payment_refunded"]
    await assert_sound(database)


async def test_a_charge_that_never_shows_is_looked_up_for_a_day(
    client: httpx.AsyncClient,
    database: Database,
    settings: Settings,
    bank: Bank,
    in_review: str,
) -> None:
    order_id = UUID(in_review.rpartition("/")[2])
    await ask(client, f"{in_review}/resolve", DID_NOT)
    await drain_payments(database, settings, bank)
    assert await left(database, Queue.PAYMENTS) == 1

    async with transaction(database) as tx:
        day_over = 'UPDATE tasks SET payload = payload || \'{"until": "2020-01-01T00:00:00Z"}\''
        await tx.execute(text(day_over + " WHERE payload ? 'until'"))
    await settle_payments(database, settings, bank)

    assert await attempts(database, order_id) == [("charge", "declined")]
    assert await left(database, Queue.PAYMENTS) == 0
    await assert_sound(database)


async def charged_late(bank: Bank, database: Database, order_id: UUID) -> str:
    """Have the bank do what it was asked long ago; gives what it calls it."""
    a = tables.payment_attempts.c
    async with transaction(database) as tx:
        attempt_id = await tx.scalar(select(a.id).where(a.order_id == order_id))
    assert attempt_id is not None
    return await charged(bank, attempt_id, order_id)


async def charged_elsewhere(bank: Bank) -> str:
    """Have the bank charge for an order that is not ours."""
    return await charged(bank, new_id(), new_id())


async def charged(bank: Bank, attempt_id: UUID, order_id: UUID) -> str:
    charge = Charge(attempt_id, order_id, Money(TOTAL, "GBP"), "pm_card_visa")
    outcome = await bank.execute(charge)
    assert isinstance(outcome, Succeeded)
    return outcome.gateway_ref


def id_of(location: str) -> UUID:
    return UUID(location.rpartition("/")[2])


async def booked(client: httpx.AsyncClient, location: str) -> dict[str, int]:
    """Sums of the ledger of an order."""
    shown = (await client.get(f"/v1/ledger?order={id_of(location)}", headers=STAFF)).json()
    assert sum(entry["amount_minor"] for entry in shown["entries"]) == 0
    return shown["sums"]
