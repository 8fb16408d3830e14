import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.money import Money
from domain.payment import Booked, Statement, Succeeded, Unknown, Unsent
from tests.outside import Start
from tests.workers.gateways.account import (
    a_capture,
    a_charge,
    a_hold,
    a_refund,
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
    assert statement.cursor is None
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

    assert [len(part) for part in parts] == [100, 100, 5]
    read = [payment.gateway_ref for part in parts for payment in part]
    assert sorted(read) == sorted(made)


async def test_times_side_by_side_share_no_payment_and_miss_none(
    start: Start, tmp_path: Path
) -> None:
    outside = start(tmp_path)
    async with adapter(outside.gateway_url) as gateway:
        ref = await paid(gateway, a_charge())
        ((booked,),) = await whole(gateway, SINCE, UNTIL)
        # Stripe knows the second alone; a border within it must not part the payment from both.
        border = booked.created_at + timedelta(milliseconds=500)
        next_border = border + timedelta(seconds=1)

        before = await gateway.statement(SINCE, border, None)
        within = await gateway.statement(border, next_border, None)
        after = await gateway.statement(next_border, UNTIL, None)

    parts = [before, within, after]
    assert all(isinstance(part, Statement) for part in parts)
    found = [p.gateway_ref for part in parts if isinstance(part, Statement) for p in part.payments]
    assert found == [ref]


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


async def whole(gateway: StripeGateway, since: datetime, until: datetime) -> list[list[Booked]]:
    parts: list[list[Booked]] = []
    cursor = None
    while not parts or cursor is not None:
        part = await gateway.statement(since, until, cursor)
        assert isinstance(part, Statement)
        parts.append(list(part.payments))
        cursor = part.cursor
    return parts


def sums(each: Booked) -> tuple[str, str, int, int, int]:
    return (
        each.gateway_ref,
        each.currency,
        each.authorized_minor,
        each.captured_minor,
        each.refunded_minor,
    )
