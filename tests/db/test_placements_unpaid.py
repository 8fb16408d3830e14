"""A customer holds stock for so many unpaid orders and no more, whoever accepts them."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text

from db import orders, placements
from db.engine import Database, connect, transaction
from db.ids import new_id
from db.keys import Answer
from db.placements import Placement, TooManyUnpaid
from domain.payment import Capture, OnDecline
from domain.refusal import Refusal
from domain.status import Status
from ops.config import Settings
from tests.builders import a_placement, put_products
from tests.db.backends import Admin, until_blocked
from tests.people import someone

UNPAID_MAX = 3


@pytest.fixture(autouse=True)
async def catalogue(database: Database) -> None:
    await put_products(database, APPLE=100)


async def _accept(database: Database, group: Sequence[Placement]) -> list[Answer | Refusal]:
    async with transaction(database) as tx:
        return await placements.insert_many(tx, group, msgspec.json.encode, unpaid_max=UNPAID_MAX)


def _orders_of(email: str, count: int) -> list[Placement]:
    return [a_placement(("APPLE", 1), email=email) for _ in range(count)]


def _accepted(answers: Sequence[Answer | Refusal]) -> list[bool]:
    return [isinstance(answer, Answer) and not answer.replayed for answer in answers]


async def _become(database: Database, status: Status) -> None:
    """Have all orders come to a status, by SQL alone."""
    reason = "staff" if status is Status.CANCELLED else None
    async with transaction(database) as tx:
        await tx.execute(text("SET LOCAL session_replication_role = replica"))
        change = text("UPDATE orders SET status = :status, cancel_reason = :reason")
        await tx.execute(change, {"status": status.value, "reason": reason})


async def test_group_is_accepted_up_to_what_each_customer_may_hold(database: Database) -> None:
    group = [*_orders_of("ann@example.com", 5), *_orders_of("bob@example.com", 2)]

    answers = await _accept(database, group)

    assert _accepted(answers) == [True, True, True, False, False, True, True]
    refused = answers[3]
    assert isinstance(refused, TooManyUnpaid)
    assert (refused.code, refused.field) == ("too_many_unpaid_orders", "email")
    assert _accepted(await _accept(database, _orders_of("ann@example.com", 1))) == [False]


async def test_address_in_another_case_is_the_same_customer(database: Database) -> None:
    ann, shouted = "ann@example.com", "Ann@EXAMPLE.com"
    group = [*_orders_of(ann, 1), *_orders_of(shouted, 1), *_orders_of(ann.upper(), 2)]

    answers = await _accept(database, group)

    assert _accepted(answers) == [True, True, True, False]
    assert _accepted(await _accept(database, _orders_of(shouted, 1))) == [False]
    async with transaction(database) as tx:
        kept = await tx.scalars(text("SELECT email FROM orders"))
    assert set(kept) == {ann, shouted, ann.upper()}


# Of an order in review the customer does not know what to pay, so it is not held against anybody.
@pytest.mark.parametrize("status", Status)
async def test_only_orders_that_wait_for_money_count(database: Database, status: Status) -> None:
    await _accept(database, _orders_of("ann@example.com", UNPAID_MAX))
    await _become(database, status)

    answers = await _accept(database, _orders_of("ann@example.com", 1))

    waiting = status in {Status.PLACED, Status.BACKORDERED, Status.RESERVED}
    assert _accepted(answers) == [not waiting]


async def test_two_processes_accept_no_more_than_one_does(
    database: Database, settings: Settings, admin: Admin
) -> None:
    elsewhere = connect(settings, name="another web process", ring=lambda _: None)
    async with transaction(database) as here:
        mine = await placements.insert_many(
            here, _orders_of("ann@example.com", 2), msgspec.json.encode, unpaid_max=UNPAID_MAX
        )
        theirs = asyncio.create_task(_accept(elsewhere, _orders_of("ann@example.com", 2)))
        await until_blocked(admin)

    assert _accepted(mine) == [True, True]
    assert _accepted(await theirs) == [True, False]
    await elsewhere.engine.dispose()


async def test_address_in_another_case_waits_for_the_same_customer(
    database: Database, settings: Settings, admin: Admin
) -> None:
    elsewhere = connect(settings, name="another web process", ring=lambda _: None)
    async with transaction(database) as here:
        await placements.insert_many(
            here, _orders_of("ann@example.com", 2), msgspec.json.encode, unpaid_max=UNPAID_MAX
        )
        theirs = asyncio.create_task(_accept(elsewhere, _orders_of("ANN@example.com", 2)))
        await until_blocked(admin)

    assert _accepted(await theirs) == [True, False]
    await elsewhere.engine.dispose()


async def test_customers_do_not_wait_for_each_other(database: Database) -> None:
    async with transaction(database) as here:
        await placements.insert_many(
            here, _orders_of("ann@example.com", 1), msgspec.json.encode, unpaid_max=UNPAID_MAX
        )

        assert _accepted(await _accept(database, _orders_of("bob@example.com", 1))) == [True]


async def test_nobody_spends_what_an_account_may_hold_by_naming_its_address(
    database: Database,
) -> None:
    ann = UUID(await someone(database))
    hers = [msgspec.structs.replace(p, user_id=ann) for p in _orders_of("ann@example.com", 4)]

    strangers = await _accept(database, _orders_of("ann@example.com", UNPAID_MAX + 1))
    own = await _accept(database, hers)

    assert _accepted(strangers) == _accepted(own) == [True, True, True, False]
    assert _accepted(await _accept(database, _orders_of("ann@example.com", 1))) == [False]
    # Whose name strangers used is told of a way that no stranger can close.
    for refused, says_so in ((strangers[-1], True), (own[-1], False)):
        assert isinstance(refused, TooManyUnpaid)
        assert ("or log in" in refused.detail) is says_so


async def test_groups_with_the_same_customers_in_opposite_order_do_not_deadlock(
    database: Database, admin: Admin
) -> None:
    ann, bob, carol = (f"{name}@example.com" for name in ("ann", "bob", "carol"))
    there = [a_placement(("APPLE", 1), email=email) for email in (ann, bob, carol)]
    back = [a_placement(("APPLE", 1), email=email) for email in (carol, bob, ann)]

    # Both groups come to a halt at the customer in their middle, holding what they took before.
    async with transaction(database) as middle:
        await placements.insert_many(middle, _orders_of(bob, 1), msgspec.json.encode)
        groups = [asyncio.create_task(_accept(database, group)) for group in (there, back)]
        await until_blocked(admin, 2)

    # Bob's second one of these was his third order, so all fit.
    assert [_accepted(await group) for group in groups] == [[True] * 3] * 2


async def test_accepted_key_is_replayed_though_no_more_orders_are_accepted(
    database: Database,
) -> None:
    first, *_ = group = _orders_of("ann@example.com", UNPAID_MAX)
    answers = await _accept(database, group)
    again = msgspec.structs.replace(first, order_id=new_id())

    [replayed, fresh] = await _accept(database, [again, *_orders_of("ann@example.com", 1)])

    assert isinstance(answers[0], Answer)
    assert replayed == msgspec.structs.replace(answers[0], replayed=True)
    assert isinstance(fresh, TooManyUnpaid)


async def test_replay_takes_nothing_of_what_a_customer_may_hold(database: Database) -> None:
    first, *_ = group = _orders_of("ann@example.com", UNPAID_MAX - 1)
    await _accept(database, group)
    again = [msgspec.structs.replace(first, order_id=new_id())]

    answers = await _accept(database, [*again, *_orders_of("ann@example.com", 2)])

    assert _accepted(answers) == [False, True, False]
    assert isinstance(answers[0], Answer)


async def test_second_run_after_a_commit_in_doubt_counts_its_own_orders_once(
    database: Database,
) -> None:
    group = _orders_of("ann@example.com", UNPAID_MAX + 1)

    first, second = await _accept(database, group), await _accept(database, group)

    assert second[:UNPAID_MAX] == first[:UNPAID_MAX]
    assert _accepted(second) == [True] * UNPAID_MAX + [False]


async def test_refused_placement_takes_nothing_of_what_a_customer_may_hold(
    database: Database,
) -> None:
    unknown = [a_placement(("NOPE", 1)) for _ in range(UNPAID_MAX)]

    answers = await _accept(database, [*unknown, *_orders_of("ann@example.com", UNPAID_MAX)])

    assert _accepted(answers) == [False] * UNPAID_MAX + [True] * UNPAID_MAX


async def test_order_is_kept_with_how_its_money_is_taken_and_how_long_its_stock_is_held(
    database: Database,
) -> None:
    placement = a_placement(
        ("APPLE", 1), capture=Capture.MANUAL, on_decline=OnDecline.HOLD, reserve_for_s=90
    )
    await _accept(database, [placement])

    async with transaction(database) as tx:
        view = await orders.get(tx, placement.order_id)
        [held] = await tx.scalars(text("SELECT reserve_for_s FROM orders"))

    assert (view.capture, view.on_decline, view.reserved_until) == ("manual", "hold", None)
    assert held == 90
