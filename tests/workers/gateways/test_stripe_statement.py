import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.money import Money
from domain.payment import Booked, Statement, Succeeded, Unknown, Unsent
from tests.outside import Start
from tests.waiting import eventually
from tests.workers.gateways.account import (
    a_capture,
    a_charge,
    a_hold,
    a_refund,
    a_void,
    adapter,
    answering,
    by_hand,
    paid,
    reply,
)
from workers.gateways.stripe import StripeGateway

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
UNTIL = datetime(2100, 1, 1, tzinfo=UTC)


async def test_books_show_what_is_held_captured_and_refunded(start: Start, tmp_path: Path) -> None:
    outside = start(tmp_path)
    charge, hold = a_charge(), a_hold()
    async with adapter(outside.gateway_url) as gateway:
        charged, held = await paid(gateway, charge), await paid(gateway, hold)
        await gateway.execute(a_refund(charged, amount=Money(600, "GBP")))
        await gateway.execute(a_capture(hold, held, 1000))
        await by_hand(
            outside,
            "payment_intents",
            amount="5",
            currency="eur",
            payment_method="pm_card_visa",
            confirm="true",
        )
        found = await gateway.find(charge)

        statement = await gateway.statement(SINCE, UNTIL, None)

    assert isinstance(statement, Statement)
    others, of_hold, of_charge = statement.payments
    assert sums(of_charge) == (charged, "GBP", 0, 1999, 600)
    assert sums(of_hold) == (held, "GBP", 999, 1000, 0)
    assert sums(others)[1:] == ("EUR", 0, 5, 0)
    assert isinstance(found, Succeeded)
    assert of_charge.fee_minor == found.fee_minor > 0
    assert (of_hold.attempt_id, of_hold.order_id) == (hold.attempt_id, hold.order_id)
    assert (others.attempt_id, others.order_id) == (None, None)
    assert abs(datetime.now(UTC) - of_charge.created_at) < timedelta(minutes=1)


async def test_long_books_are_read_part_by_part_each_payment_once(
    start: Start, tmp_path: Path
) -> None:
    outside = start(tmp_path)
    async with adapter(outside.gateway_url) as gateway:
        made = await asyncio.gather(*(paid(gateway, a_charge()) for _ in range(205)))

        parts = await whole(gateway, SINCE, UNTIL)

    assert [len(part) for part in parts] == [100, 100, 5, 0, 0, 0]
    read = [payment.gateway_ref for part in parts for payment in part]
    assert sorted(read) == sorted(made)


async def test_times_side_by_side_share_no_payment_and_miss_none(
    start: Start, tmp_path: Path
) -> None:
    outside = start(tmp_path)
    async with adapter(outside.gateway_url) as gateway:
        ref = await paid(gateway, a_charge())
        ((booked,), *_) = await whole(gateway, SINCE, UNTIL)
        # Stripe knows the second alone; a border within it must not part the payment from both.
        border = booked.created_at + timedelta(milliseconds=500)
        next_border = border + timedelta(seconds=1)

        times = [(SINCE, border), (border, next_border), (next_border, UNTIL)]
        parts = [part for period in times for part in await whole(gateway, *period)]

    assert [payment.gateway_ref for part in parts for payment in part] == [ref]


async def test_payments_made_before_a_time_are_in_its_books_if_they_changed_in_it(
    start: Start, tmp_path: Path
) -> None:
    outside = start(tmp_path)
    async with adapter(outside.gateway_url) as gateway:
        await paid(gateway, a_charge())
        hold = a_hold()
        refunded, held = await paid(gateway, a_charge()), await paid(gateway, hold)
        released = await paid(gateway, to_release := a_hold())
        since = await next_second()
        await gateway.execute(a_refund(refunded, amount=Money(500, "GBP")))
        await gateway.execute(a_capture(hold, held, 1000))
        await gateway.execute(a_void(to_release, released))

        parts = await whole(gateway, since, UNTIL)

    changed = {sums(payment) for part in parts for payment in part}
    assert changed == {
        (refunded, "GBP", 0, 1999, 500),
        (held, "GBP", 999, 1000, 0),
        (released, "GBP", 0, 0, 0),
    }


async def test_single_payment_is_told_as_it_stands_or_not_known(gateway: StripeGateway) -> None:
    ref = await paid(gateway, a_charge())

    booked = await gateway.booked(ref)

    assert isinstance(booked, Booked)
    assert sums(booked) == (ref, "GBP", 0, 1999, 0)
    assert await gateway.booked("pi_nobodys") is None


@pytest.mark.parametrize(
    ("status", "kind", "outcome"),
    [
        (429, "invalid_request_error", Unsent),
        (401, "invalid_request_error", Unsent),
        (400, "invalid_request_error", Unknown),
        (500, "api_error", Unknown),
    ],
)
async def test_books_that_cannot_be_read_are_no_statement(
    status: int, kind: str, outcome: type[object]
) -> None:
    error = reply({"error": {"type": kind}}, status)

    async with answering(error) as url, adapter(url) as gateway:
        assert isinstance(await gateway.statement(SINCE, UNTIL, None), outcome)
    async with answering(error) as url, adapter(url) as gateway:
        assert isinstance(await gateway.booked("pi_1"), Unknown)


async def whole(gateway: StripeGateway, since: datetime, until: datetime) -> list[list[Booked]]:
    parts: list[list[Booked]] = []
    cursor = None
    while not parts or cursor is not None:
        part = await gateway.statement(since, until, cursor)
        assert isinstance(part, Statement)
        parts.append(list(part.payments))
        cursor = part.cursor
    return parts


async def next_second() -> datetime:
    """Wait until a second begins: Stripe counts no shorter times."""
    before = int(time.time())

    async def begun() -> bool:
        return time.time() >= before + 1

    await eventually(begun)
    return datetime.fromtimestamp(before + 1, UTC)


def sums(each: Booked) -> tuple[str, str, int, int, int]:
    return (
        each.gateway_ref,
        each.currency,
        each.authorized_minor,
        each.captured_minor,
        each.refunded_minor,
    )
