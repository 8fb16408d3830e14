"""Redemptions: limits hold under two hundred orders at once, and what is cancelled comes back."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.acceptance import Acceptance
from db import discounts, invariants, orders, redemptions, terms
from db.discounts import DiscountView
from db.engine import Busy, Database, connect, transaction
from db.ids import new_id
from db.keys import Answer
from db.terms import Asked, Setup
from domain import order
from domain.discount import Discount, DiscountUsedUp
from domain.event import CancelReason
from domain.order import Change, Order
from domain.redemption import Customer, Uses
from domain.refusal import Refusal
from ops.config import Settings
from tests.builders import a_placement, put_products

ORDERS = 200
PROCESSES = 4


@pytest.fixture
async def processes(settings: Settings) -> AsyncGenerator[list[Acceptance]]:
    """The doors of several web processes, each with connections of its own."""
    async with AsyncExitStack() as stack:
        made: list[Acceptance] = []
        for n in range(PROCESSES):
            pool = connect(settings, name=f"process {n}", ring=lambda _: None)
            stack.push_async_callback(pool.engine.dispose)
            made.append(Acceptance(pool, group_max=20, unpaid_max=1000, tax_included=False))
        yield made


def ten(code: str | None, **limits: int) -> DiscountView:
    content = {"id": new_id(), "slug": "ten", "code": code, "kind": "percentage", "value": 1000}
    empty = dict.fromkeys(("currency", "skus", "starts_at", "ends_at"))
    limited = {"uses_max": None, "uses_per_customer_max": None, **limits}
    return msgspec.convert(
        {**content, **empty, **limited, "minimum_minor": 0, "combines": True}, DiscountView
    )


async def put(database: Database, code: str | None, **limits: int) -> None:
    made = ten(code, **limits)
    async with transaction(database) as tx:
        _, uses = await discounts.lock(tx, "ten")
        await discounts.put(tx, made, uses=uses)


async def order_at_once(
    processes: list[Acceptance], emails: list[str], codes: list[str]
) -> list[Answer | Refusal]:
    async def accept(n: int, email: str) -> Answer | Refusal:
        placement = a_placement(("APPLE", 1), email=email)
        try:
            return await processes[n % len(processes)].accept(
                msgspec.structs.replace(placement, codes=codes)
            )
        except Refusal as refusal:
            return refusal

    return list(await asyncio.gather(*(accept(n, email) for n, email in enumerate(emails))))


async def state(database: Database) -> tuple[int, int, int]:
    """Count what the discount says, its redemptions that stand, and the orders that cost less."""
    async with transaction(database) as tx:
        found = await tx.execute(
            text(
                "SELECT (SELECT uses FROM discounts), (SELECT count(*) FROM discount_redemptions"
                " WHERE given_back_at IS NULL),"
                " (SELECT count(*) FROM orders WHERE total_minor < 500)"
            )
        )
        assert await invariants.check(tx) == []
        uses, given, cheap = found.one()
    return uses, given, cheap


async def test_code_is_given_as_often_as_it_may_be_under_two_hundred_orders_at_once(
    database: Database, processes: list[Acceptance]
) -> None:
    await put_products(database, APPLE=1000)
    await put(database, "TEN", uses_max=50)

    emails = [f"buyer{n}@example.com" for n in range(ORDERS)]
    answers = await order_at_once(processes, emails, ["TEN"])

    accepted = [answer for answer in answers if isinstance(answer, Answer)]
    refused = {type(answer) for answer in answers if not isinstance(answer, Answer)}
    assert (len(accepted), refused) == (50, {DiscountUsedUp})
    assert await state(database) == (50, 50, 50)


async def test_customer_is_given_a_code_as_often_as_one_may_be_however_the_address_is_written(
    database: Database, processes: list[Acceptance]
) -> None:
    await put_products(database, APPLE=1000)
    await put(database, "TEN", uses_per_customer_max=2)

    emails = [f"Ann.Lee+{n}@{'gmail' if n % 2 else 'googlemail'}.com" for n in range(60)]
    answers = await order_at_once(processes, emails, ["TEN"])

    assert len([answer for answer in answers if isinstance(answer, Answer)]) == 2
    assert (await state(database))[1:] == (2, 2)


async def test_automatic_discount_that_is_used_up_leaves_orders_at_their_price(
    database: Database, processes: list[Acceptance]
) -> None:
    await put_products(database, APPLE=1000)
    await put(database, None, uses_max=30)

    emails = [f"buyer{n}@example.com" for n in range(ORDERS)]
    answers = await order_at_once(processes, emails, [])

    assert all(isinstance(answer, Answer) for answer in answers)
    assert await state(database) == (30, 30, 30)


async def test_limit_that_is_set_amid_orders_counts_all_of_them(
    database: Database, processes: list[Acceptance]
) -> None:
    await put_products(database, APPLE=1000)
    await put(database, "TEN")
    emails = [f"buyer{n}@example.com" for n in range(ORDERS)]

    async def limit() -> None:
        await asyncio.gather(*(put(database, "TEN", uses_max=ORDERS) for _ in range(3)))

    answers, _ = await asyncio.gather(order_at_once(processes, emails, ["TEN"]), limit())

    assert len([answer for answer in answers if isinstance(answer, Answer)]) == ORDERS
    assert await state(database) == (ORDERS, ORDERS, ORDERS)


async def read(tx: AsyncConnection) -> Discount:
    """Read the discount as an order does."""
    asked = Asked(["TEN"], (), ())
    there = Setup(taxes=False, shipping=False, automatic=False)
    return (await terms.read(tx, there, asked, tax_included=False, hold=True)).codes["TEN"]


async def test_limited_discount_is_decided_on_by_one_order_at_a_time(
    database: Database, impatient: Database
) -> None:
    await put(database, "TEN", uses_max=1)

    async def count(tx: AsyncConnection) -> Uses:
        return await redemptions.hold(tx, [(await read(tx), Customer(None, "ann@example.com"))])

    async def count_meanwhile() -> None:
        async with transaction(impatient) as other:
            await count(other)

    async with transaction(database) as tx:
        await count(tx)
        with pytest.raises(Busy):
            await count_meanwhile()


async def test_limit_is_not_set_while_an_order_goes_by_there_being_none(
    database: Database, impatient: Database
) -> None:
    await put(database, "TEN")

    async with transaction(database) as tx:
        await read(tx)
        with pytest.raises(Busy):
            await put(impatient, "TEN", uses_max=1)


@pytest.mark.parametrize(("limits", "looks"), [({}, 1), ({"uses_max": 5}, 0)])
async def test_orders_wait_for_one_count_of_redemptions_and_for_none_where_a_limit_keeps_it(
    database: Database, processes: list[Acceptance], limits: dict[str, int], looks: int
) -> None:
    await put_products(database, APPLE=1000)
    await put(database, "TEN", **limits)
    await order_at_once(processes, ["ann@example.com", "bob@example.com"], ["TEN"])

    async with transaction(database) as tx:
        _, uses = await discounts.lock(tx, "ten")
        made = await discounts.put(tx, ten("TEN", uses_max=9), uses=uses)
        looked = await tx.scalar(
            text(
                "SELECT sum(pg_stat_get_xact_numscans(indexrelid)) FROM pg_index"
                " WHERE indrelid = 'discount_redemptions'::regclass"
            )
        )

    assert (made.uses, looked) == (2, looks)


async def test_what_is_given_back_again_is_given_back_once(
    database: Database, processes: list[Acceptance]
) -> None:
    await put_products(database, APPLE=1000)
    await put(database, "TEN", uses_max=5)
    placed = await order_at_once(processes, ["ann@example.com", "bob@example.com"], ["TEN"])
    first, _ = [answer.order_id for answer in placed if isinstance(answer, Answer)]

    for _ in range(2):
        async with transaction(database) as tx:
            # A refund, too, is a change of an order that is cancelled.
            await redemptions.give_back(tx, [first])

    async with transaction(database) as tx:
        assert (await tx.execute(text("SELECT uses FROM discounts"))).scalar() == 1


async def test_orders_that_are_cancelled_at_once_give_back_what_others_take_meanwhile(
    database: Database, processes: list[Acceptance]
) -> None:
    await put_products(database, APPLE=1000)
    await put(database, "TEN", uses_max=20)
    emails = [f"buyer{n}@example.com" for n in range(20)]
    first = await order_at_once(processes, emails, ["TEN"])

    async def cancel(order_id: UUID) -> None:
        def decide(was: Order) -> Change:
            return order.cancel(was, reason=CancelReason.CUSTOMER)

        async with transaction(database) as tx:
            await orders.change(tx, order_id, decide)

    ids = [answer.order_id for answer in first if isinstance(answer, Answer)]
    others = [f"other{n}@example.com" for n in range(40)]
    cancelling = asyncio.gather(*(cancel(order_id) for order_id in ids))
    answers, _ = await asyncio.gather(order_at_once(processes, others, ["TEN"]), cancelling)
    taken = len([answer for answer in answers if isinstance(answer, Answer)])
    rest = await order_at_once(processes, [f"late{n}@example.com" for n in range(40)], ["TEN"])

    late = len([answer for answer in rest if isinstance(answer, Answer)])
    assert (len(ids), taken + late) == (20, 20)
    async with transaction(database) as tx:
        assert await invariants.check(tx) == []
        assert (await tx.execute(text("SELECT uses FROM discounts"))).scalar() == 20
