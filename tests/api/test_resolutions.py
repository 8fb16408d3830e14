from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, text

from db import tables, tasks
from db.engine import Database, transaction
from domain.attempt import AGAIN
from domain.money import Money
from domain.payment import Charge, Unknown
from domain.task import Queue
from ops.config import Settings
from tests.api.paid import TOTAL, Pay, lost
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


@pytest.mark.parametrize(
    ("word", "status", "event", "sums"),
    [
        (HAPPENED, "paid", "order_paid", {"gateway_cash": TOTAL, "receivable": -TOTAL}),
        (DID_NOT, "cancelled", "order_cancelled", {}),
    ],
)
async def test_staff_settles_what_the_gateway_could_not_say(  # noqa: PLR0913, PLR0917 - a table
    client: httpx.AsyncClient,
    database: Database,
    in_review: str,
    word: dict[str, str],
    status: str,
    event: str,
    sums: dict[str, int],
) -> None:
    answer = await client.post(f"{in_review}/resolve", json=word, headers=STAFF)
    again = await client.post(f"{in_review}/resolve", json=word, headers=STAFF)

    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["operation"]) == (status, "charge")
    assert "The gateway is mute." in answer.json()["evidence"]
    assert_problem(again, 409, "illegal_move")
    told = (await client.get(f"{in_review}/events")).json()["events"]
    assert [entry["kind"] for entry in told][-2:] == ["payment_resolved", event]
    assert told[-2]["data"] == {
        "attempt_id": answer.json()["attempt_id"],
        "outcome": word["outcome"],
        "note": word["note"],
        "actor": "staff",
        "evidence": answer.json()["evidence"],
    }
    order_id = in_review.rpartition("/")[2]
    booked = (await client.get(f"/v1/ledger?order={order_id}", headers=STAFF)).json()
    assert (booked["sums"], booked["currency"]) == (sums, "GBP")
    assert sum(entry["amount_minor"] for entry in booked["entries"]) == 0
    await assert_sound(database)


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
    answer = await client.post(f"{in_review}/resolve", json=word, headers=STAFF)

    assert_problem(answer, 400, "invalid_request", field)
    assert (await client.get(in_review)).json()["status"] == "review"


async def test_what_is_known_or_still_being_asked_after_is_not_for_a_person(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank, pay: Pay
) -> None:
    paid, open_ = await pay(), await lost(client, database, settings, bank)
    before = await rows(database)

    for location in (paid, open_):
        answer = await client.post(f"{location}/resolve", json=DID_NOT, headers=STAFF)
        assert_problem(answer, 409, "illegal_move")
    assert await rows(database) == before


async def test_a_word_waits_while_a_worker_may_be_asking_the_gateway(
    client: httpx.AsyncClient, database: Database, in_review: str
) -> None:
    await make_due(database)
    async with transaction(database) as tx:
        [asking] = await tasks.lease(tx, Queue.PAYMENTS, limit=1, lease_s=30)

    early = await client.post(f"{in_review}/resolve", json=HAPPENED, headers=STAFF)
    async with transaction(database) as tx:
        await tasks.finish(tx, [(asking, AGAIN)], leased=True)
    later = await client.post(f"{in_review}/resolve", json=HAPPENED, headers=STAFF)

    assert_problem(early, 409, "payment_in_progress")
    assert (later.status_code, later.json()["status"]) == (200, "paid")


async def test_a_late_word_for_a_cancelled_order_gives_the_money_back(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank
) -> None:
    location = await lost(client, database, settings, bank)
    await client.post(f"{location}/cancel")
    order_id = UUID(location.rpartition("/")[2])
    early = await client.post(f"{location}/resolve", json=HAPPENED, headers=STAFF)
    await sent_long_ago(database, order_id)

    late = await client.post(f"{location}/resolve", json=HAPPENED, headers=STAFF)

    assert_problem(early, 409, "illegal_move")
    assert (late.status_code, late.json()["status"]) == (200, "cancelled")
    assert (await timeline(database, order_id))[-2:] == ["payment_resolved", "late_payment"]


async def test_a_charge_that_shows_after_all_is_given_back(
    client: httpx.AsyncClient,
    database: Database,
    settings: Settings,
    bank: Bank,
    in_review: str,
) -> None:
    order_id = UUID(in_review.rpartition("/")[2])
    answer = await client.post(f"{in_review}/resolve", json=DID_NOT, headers=STAFF)
    await drain_payments(database, settings, bank)
    assert answer.status_code == 200
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
    await client.post(f"{in_review}/resolve", json=DID_NOT, headers=STAFF)
    await drain_payments(database, settings, bank)
    assert await left(database, Queue.PAYMENTS) == 1

    async with transaction(database) as tx:
        day_over = 'UPDATE tasks SET payload = payload || \'{"until": "2020-01-01T00:00:00Z"}\''
        await tx.execute(text(day_over + " WHERE payload ? 'until'"))
    await settle_payments(database, settings, bank)

    assert await attempts(database, order_id) == [("charge", "declined")]
    assert await left(database, Queue.PAYMENTS) == 0
    await assert_sound(database)


async def charged_late(bank: Bank, database: Database, order_id: UUID) -> None:
    """Have the bank do what it was asked long ago."""
    a = tables.payment_attempts.c
    async with transaction(database) as tx:
        attempt_id = await tx.scalar(select(a.id).where(a.order_id == order_id))
    assert attempt_id is not None
    await bank.execute(Charge(attempt_id, order_id, Money(TOTAL, "GBP"), "pm_card_visa"))
