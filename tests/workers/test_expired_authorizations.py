"""Authorizations that run out: noticed once, and what is left of them is released."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from psycopg.errors import UniqueViolation
from sqlalchemy import text

from db import orders, payables, payments
from db.engine import Database, transaction
from db.ids import new_id
from domain import order
from domain.event import CancelReason
from domain.funds import ask_capture
from domain.payment import Capture
from domain.settlement import request
from ops.config import Settings
from tests.bank import Bank
from tests.builders import a_placement, place, put_products
from tests.records import assert_sound, attempts, shelf, status, timeline
from tests.stages import drain_inventory, drain_payments, settle_payments
from tests.workers.charges import cancel
from workers import clock
from workers.expiry import expire_authorizations


@pytest.fixture
def bank() -> Bank:
    """One whose authorizations run out as soon as they are made."""
    made = Bank()
    made.authorized_until = datetime.now(UTC) - timedelta(seconds=1)
    return made


async def held(database: Database, settings: Settings, bank: Bank, *, count: int = 1) -> list[UUID]:
    """Orders whose money is authorized and not captured."""
    await put_products(database, APPLE=100)
    wanted = [a_placement(("APPLE", 2), capture=Capture.MANUAL) for _ in range(count)]
    ids = await place(database, *wanted)
    await drain_inventory(database)
    await drain_payments(database, settings, bank)
    return ids


async def capture(
    database: Database, order_id: UUID, minor: int | None = None, *, final: bool = False
) -> None:
    """Ask for a capture."""
    async with transaction(database) as tx:
        payable = await payables.lock(tx, order_id)
        asked = ask_capture(payable, new_id(), amount_minor=minor, final=final)
        await payments.insert(tx, [(payable, asked)])
        await orders.change(tx, order_id, lambda was: request(was, asked, actor="staff"))


async def test_order_of_which_nothing_was_captured_ends_and_its_stock_is_for_sale_again(
    database: Database, settings: Settings, bank: Bank
) -> None:
    [order_id] = await held(database, settings, bank)

    await expire_authorizations(database)
    await settle_payments(database, settings, bank)

    async with transaction(database) as tx:
        ended = await orders.get(tx, order_id)
    assert (ended.status, ended.cancel_reason) == ("cancelled", CancelReason.EXPIRED)
    assert (await timeline(database, order_id))[-3:] == [
        "authorization_expired",
        "order_cancelled",
        "payment_voided",
    ]
    assert await shelf(database, "APPLE") == (100, 0)
    assert bank.held(order_id) == 0
    await assert_sound(database)


async def test_what_is_left_of_a_partly_captured_one_is_released_and_the_order_goes_on(
    database: Database, settings: Settings, bank: Bank
) -> None:
    [order_id] = await held(database, settings, bank)
    await capture(database, order_id, 400)
    await settle_payments(database, settings, bank)

    await expire_authorizations(database)
    await settle_payments(database, settings, bank)

    assert await status(database, order_id) == "paid"
    assert (await timeline(database, order_id))[-2:] == ["authorization_expired", "payment_voided"]
    assert [kind for kind, _ in await attempts(database, order_id)] == [
        "authorize",
        "capture",
        "void",
    ]
    assert bank.takings(order_id) == [400]
    assert bank.held(order_id) == 0


async def test_shipped_order_goes_on_and_the_timeline_says_what_expired(
    database: Database, settings: Settings, bank: Bank
) -> None:
    [order_id] = await held(database, settings, bank)
    async with transaction(database) as tx:
        await orders.change(tx, order_id, order.ship)

    await expire_authorizations(database)

    assert await status(database, order_id) == "shipped"
    assert (await timeline(database, order_id))[-1] == "authorization_expired"


@pytest.mark.parametrize("captured", [None, 400])
async def test_each_authorization_is_noticed_once(
    database: Database, settings: Settings, bank: Bank, captured: int | None
) -> None:
    [order_id] = await held(database, settings, bank)
    if captured:
        await capture(database, order_id, captured)
        await settle_payments(database, settings, bank)

    await asyncio.gather(*(expire_authorizations(database) for _ in range(3)))
    await settle_payments(database, settings, bank)
    await expire_authorizations(database)

    assert (await timeline(database, order_id)).count("authorization_expired") == 1


async def test_refused_release_is_not_asked_for_again_every_second(
    database: Database, settings: Settings, bank: Bank
) -> None:
    [order_id] = await held(database, settings, bank)
    await capture(database, order_id, 400)
    await settle_payments(database, settings, bank)
    await expire_authorizations(database)
    forgetful = Bank()
    await settle_payments(database, settings, forgetful)

    await expire_authorizations(database)

    assert forgetful.verbs() == ["void"]
    assert (await attempts(database, order_id))[-1] == ("void", "declined")
    assert (await timeline(database, order_id)).count("authorization_expired") == 1


@pytest.mark.parametrize("final", [False, True])
async def test_authorization_of_which_nothing_is_left_leaves_no_trace(
    database: Database, settings: Settings, bank: Bank, *, final: bool
) -> None:
    [order_id] = await held(database, settings, bank)
    await capture(database, order_id, 400 if final else None, final=final)
    await settle_payments(database, settings, bank)
    before = await timeline(database, order_id)

    await expire_authorizations(database)

    assert await timeline(database, order_id) == before
    assert await status(database, order_id) == "paid"
    assert await unnoticed(database) == 0


async def test_cancelled_order_is_left_to_what_undoes_its_payment(
    database: Database, settings: Settings, bank: Bank
) -> None:
    [order_id] = await held(database, settings, bank)
    await cancel(database, order_id)
    before = await timeline(database, order_id)

    await expire_authorizations(database)
    after = await timeline(database, order_id)
    await settle_payments(database, settings, bank)

    assert after == before
    assert bank.held(order_id) == 0


async def test_capture_that_is_asked_for_comes_first(
    database: Database, settings: Settings, bank: Bank
) -> None:
    [order_id] = await held(database, settings, bank)
    await capture(database, order_id, 400)

    await expire_authorizations(database)
    at_first = await timeline(database, order_id)
    await settle_payments(database, settings, bank)
    await expire_authorizations(database)

    assert "authorization_expired" not in at_first
    assert (await timeline(database, order_id))[-1] == "authorization_expired"
    assert bank.takings(order_id) == [400]


async def test_authorization_that_still_holds_is_left_alone(
    database: Database, settings: Settings, bank: Bank
) -> None:
    bank.authorized_until = datetime.now(UTC) + timedelta(hours=1)
    [order_id] = await held(database, settings, bank)

    await expire_authorizations(database)

    assert await status(database, order_id) == "paid"
    assert await unnoticed(database) == 1


async def test_order_that_cannot_be_dealt_with_keeps_no_other_from_it(
    database: Database, settings: Settings, bank: Bank
) -> None:
    ids = await held(database, settings, bank, count=5)
    told = len(await timeline(database, ids[1]))
    async with transaction(database) as tx:
        # What cannot be: the number of the event that would tell of it is taken.
        taken = "INSERT INTO order_events (order_id, version, kind, status, data)"
        await tx.execute(
            text(f"{taken} VALUES (:id, :version, 'order_paid', 'paid', '{{}}')"),
            {"id": ids[1], "version": told + 1},
        )

    with pytest.raises(UniqueViolation):
        await expire_authorizations(database)

    ended = ["cancelled"] * 5
    ended[1] = "paid"
    assert [await status(database, order_id) for order_id in ids] == ended


async def test_order_that_somebody_else_holds_waits_for_the_next_sweep(
    database: Database, settings: Settings, bank: Bank
) -> None:
    [first, second] = await held(database, settings, bank, count=2)

    async with transaction(database) as tx:
        await orders.lock(tx, [first])
        await expire_authorizations(database)
        meanwhile = await status(database, first), await status(database, second)
    await expire_authorizations(database)

    assert meanwhile == ("paid", "cancelled")
    assert await status(database, first) == "cancelled"


async def test_sweep_of_the_clock_notices_them(
    database: Database, settings: Settings, bank: Bank
) -> None:
    [order_id] = await held(database, settings, bank)

    await clock.run_once(database)

    assert await status(database, order_id) == "cancelled"


async def unnoticed(database: Database) -> int:
    """Count what every sweep looks at."""
    query = (
        "SELECT count(*) FROM payment_attempts"
        " WHERE expires_at IS NOT NULL AND expiry_noticed_at IS NULL"
    )
    async with transaction(database) as tx:
        return (await tx.execute(text(query))).scalar_one()
