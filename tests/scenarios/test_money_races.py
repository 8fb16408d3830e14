"""Pairs that want opposite things of one order: in both orders and at once, one legal history."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from uuid import UUID

import pytest

from db.engine import Database
from domain.payment import Capture
from ops.config import Settings
from tests.bank import Bank
from tests.records import assert_sound, cash, expire, shelf, status, timeline
from tests.scenarios.contention import Doing, at_once, one_after_the_other
from tests.stages import drain_payments, settle_payments
from tests.workers.charges import TOTAL, cancel, capture, refund, reserved, ship, void
from workers import clock

HOW = ("the one first", "the other first", "at once")

Act = Callable[[Database, UUID], Awaitable[object]]

ACTS: Mapping[str, Act] = {
    "cancel": cancel,
    "ship": ship,
    "capture": partial(capture, amount_minor=600),
    "capture the rest": partial(capture, final=True),
    "void": void,
    "refund": partial(refund, amount_minor=600),
    "refund all": refund,
}


async def race(database: Database, order_id: UUID, how: str, one: Doing, other: Doing) -> list[str]:
    """Have both done; gives the codes of refusals."""
    match how:
        case "the one first":
            refusals = await one_after_the_other(one, other)
        case "the other first":
            refusals = await one_after_the_other(other, one)
        case _:
            refusals = await at_once(database, order_id, one, other)
    return [code for code in refusals if code is not None]


async def assert_settled(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    """What both did comes to an end on which the gateway, the ledger and the order agree."""
    await settle_payments(database, settings, bank)
    assert await cash(database, order_id) == bank.takings(order_id)
    if await status(database, order_id) == "cancelled":
        assert (sum(bank.takings(order_id)), bank.held(order_id)) == (0, 0)
        assert await shelf(database, "APPLE") == (10, 0)
    await assert_sound(database)


@pytest.mark.parametrize("how", HOW)
async def test_cancel_against_charge(
    database: Database, settings: Settings, bank: Bank, how: str
) -> None:
    order_id = await reserved(database)

    charge = partial(drain_payments, database, settings, bank)
    refusals = await race(database, order_id, how, partial(cancel, database, order_id), charge)

    assert refusals == []
    await assert_settled(database, settings, bank, order_id)
    assert await status(database, order_id) == "cancelled"


@pytest.mark.parametrize("how", HOW)
async def test_expiry_against_charge(
    database: Database, settings: Settings, bank: Bank, how: str
) -> None:
    order_id = await reserved(database)
    await expire(database, order_id)

    charge = partial(drain_payments, database, settings, bank)
    await race(database, order_id, how, partial(clock.expire, database), charge)
    await clock.expire(database)

    await assert_settled(database, settings, bank, order_id)
    ended = {"cancelled"} if how == "the one first" else {"paid", "cancelled"}
    assert await status(database, order_id) in ended
    assert "late_payment" not in await timeline(database, order_id)


@pytest.mark.parametrize("how", HOW)
async def test_cancel_against_expiry(
    database: Database, settings: Settings, bank: Bank, how: str
) -> None:
    order_id = await reserved(database)
    await expire(database, order_id)

    ending = partial(clock.expire, database)
    await race(database, order_id, how, partial(cancel, database, order_id), ending)

    await assert_settled(database, settings, bank, order_id)
    assert (await timeline(database, order_id)).count("order_cancelled") == 1
    assert bank.takings(order_id) == []


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(
    "pair",
    [
        ("refund", "refund"),
        ("refund", "refund all"),
        ("refund", "cancel"),
        ("refund", "ship"),
        ("cancel", "ship"),
    ],
)
async def test_pairs_on_captured_money(
    database: Database, settings: Settings, bank: Bank, pair: tuple[str, str], how: str
) -> None:
    order_id = await reserved(database)
    await settle_payments(database, settings, bank)

    doings = [partial(ACTS[name], database, order_id) for name in pair]
    refusals = await race(database, order_id, how, *doings)

    await assert_settled(database, settings, bank, order_id)
    if pair == ("refund", "refund"):
        assert refusals == ["amount_not_available"]
        assert bank.takings(order_id) == [TOTAL, -600]
    if set(pair) == {"cancel", "ship"}:
        assert refusals == ["illegal_move"]
        assert await status(database, order_id) in {"shipped", "cancelled"}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(
    "pair",
    [
        ("capture", "capture"),
        ("capture", "void"),
        ("capture the rest", "void"),
        ("capture", "cancel"),
        ("capture the rest", "cancel"),
        ("void", "cancel"),
        ("capture", "ship"),
    ],
)
async def test_pairs_on_authorized_money(
    database: Database, settings: Settings, bank: Bank, pair: tuple[str, str], how: str
) -> None:
    order_id = await reserved(database, capture=Capture.MANUAL)
    await settle_payments(database, settings, bank)

    doings = [partial(ACTS[name], database, order_id) for name in pair]
    refusals = await race(database, order_id, how, *doings)

    await assert_settled(database, settings, bank, order_id)
    if pair == ("capture", "capture"):
        assert refusals == ["amount_not_available"]
        assert (bank.takings(order_id), bank.held(order_id)) == ([600], 400)
    if "cancel" in pair:
        assert await status(database, order_id) == "cancelled"
    if pair == ("capture the rest", "void"):
        assert refusals == ["amount_not_available"]
        assert (sum(bank.takings(order_id)), bank.held(order_id)) in {(TOTAL, 0), (0, 0)}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("one", ["capture the rest", "void"])
async def test_cancel_against_a_call_in_flight(
    database: Database, settings: Settings, bank: Bank, one: str, how: str
) -> None:
    order_id = await reserved(database, capture=Capture.MANUAL)
    await settle_payments(database, settings, bank)
    await ACTS[one](database, order_id)

    pay = partial(drain_payments, database, settings, bank)
    bank.answers_lost = 1
    refusals = await race(database, order_id, how, partial(cancel, database, order_id), pay)

    assert refusals == []
    await assert_settled(database, settings, bank, order_id)
    assert await status(database, order_id) == "cancelled"
