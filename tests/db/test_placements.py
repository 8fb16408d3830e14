"""Orders are accepted in groups; each key makes one order, whoever asks at the same time."""

import asyncio
from collections.abc import Sequence
from functools import partial
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import carts, events, keys, orders, placements
from db.carts import CartClaim, Holder
from db.engine import Busy, Database, transaction
from db.groups import in_halves
from db.ids import new_id
from db.keys import Answer, IdempotencyKeyReused
from db.orders import OrderView
from db.placements import Placement
from domain.refusal import Refusal
from domain.task import Queue
from domain.variant import DuplicateSku, UnknownSku
from tests.builders import a_placement, put_products
from tests.db.backends import Admin, until_blocked
from tests.staff import ADMIN

Answers = list[Answer | Refusal]


async def _accept(database: Database, group: Sequence[Placement]) -> Answers:
    async with transaction(database) as tx:
        return await placements.insert_many(tx, group, msgspec.json.encode)


async def _ids(tx: AsyncConnection) -> set[UUID]:
    return set((await tx.execute(text("SELECT id FROM orders"))).scalars())


async def _orders(database: Database) -> set[UUID]:
    async with transaction(database) as tx:
        return await _ids(tx)


def _again(placement: Placement) -> Placement:
    """The same request once more, which gets an order id of its own."""
    return msgspec.structs.replace(placement, order_id=new_id())


@pytest.fixture
async def catalogue(database: Database) -> None:
    await put_products(database, APPLE=10, PEAR=10)


@pytest.mark.usefixtures("catalogue")
async def test_each_member_of_a_group_gets_its_own_answer(
    database: Database, rung: list[frozenset[Queue]]
) -> None:
    first = a_placement(("APPLE", 1), key="first")
    [earlier] = await _accept(database, [first])
    rung.clear()
    good = a_placement(("APPLE", 2), ("PEAR", 1))
    group = [
        a_placement(("NOPE", 1)),
        _again(first),
        good,
        a_placement(("PEAR", 9), key="first"),
        a_placement(("APPLE", 1), ("APPLE", 2)),
    ]

    refused, replayed, accepted, reused, doubled = await _accept(database, group)

    assert isinstance(refused, UnknownSku)
    assert isinstance(earlier, Answer)
    assert replayed == msgspec.structs.replace(earlier, replayed=True)
    assert isinstance(accepted, Answer)
    assert (accepted.order_id, accepted.status, accepted.replayed) == (good.order_id, 202, False)
    assert isinstance(reused, IdempotencyKeyReused)
    assert isinstance(doubled, DuplicateSku)
    assert await _orders(database) == {first.order_id, good.order_id}
    assert rung == [{Queue.INVENTORY}]


@pytest.mark.usefixtures("catalogue")
async def test_answer_is_the_order_as_it_is_read_back(database: Database) -> None:
    placement = a_placement(("PEAR", 1), ("APPLE", 2))

    [answer] = await _accept(database, [placement])

    assert isinstance(answer, Answer)
    async with transaction(database) as tx:
        view = await orders.get(tx, placement.order_id)
        timeline = await events.page(tx, placement.order_id)
    assert msgspec.json.decode(answer.body, type=OrderView) == view
    assert [(entry.version, entry.kind) for entry in timeline] == [(1, "order_placed")]


@pytest.mark.usefixtures("catalogue")
async def test_refused_group_leaves_nothing_and_rings_nobody(
    database: Database, rung: list[frozenset[Queue]]
) -> None:
    group = [a_placement(("NOPE", 1), key="k"), a_placement(("APPLE", 1), currency="EUR")]

    await _accept(database, group)

    async with transaction(database) as tx:
        for table in ("orders", "order_lines", "order_events", "tasks", "idempotency_keys"):
            assert (await tx.execute(text(f"SELECT FROM {table}"))).rowcount == 0
    assert rung == []


@pytest.mark.usefixtures("catalogue")
async def test_key_of_a_refused_request_can_be_used_once_it_is_mended(database: Database) -> None:
    await _accept(database, [a_placement(("NOPE", 1), key="k")])

    [answer] = await _accept(database, [a_placement(("APPLE", 1), key="k")])

    assert isinstance(answer, Answer)
    assert not answer.replayed


@pytest.mark.usefixtures("catalogue")
async def test_replay_is_answered_though_the_product_is_gone_from_sale(database: Database) -> None:
    placement = a_placement(("APPLE", 1))
    [first] = await _accept(database, [placement])
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE variants SET active = false"))

    [again] = await _accept(database, [_again(placement)])

    assert isinstance(first, Answer)
    assert again == msgspec.structs.replace(first, replayed=True)


@pytest.mark.usefixtures("catalogue")
async def test_second_run_after_a_commit_that_was_in_doubt_gives_the_first_answers(
    database: Database,
) -> None:
    group = [a_placement(("APPLE", 1)), a_placement(("NOPE", 1)), a_placement(("PEAR", 1))]

    first, second = await _accept(database, group), await _accept(database, group)

    assert [first[0], first[2]] == [second[0], second[2]]
    assert isinstance(second[1], UnknownSku)
    assert await _orders(database) == {group[0].order_id, group[2].order_id}


@pytest.mark.usefixtures("catalogue")
async def test_keys_are_unique_within_their_scope_only(database: Database) -> None:
    ours = a_placement(("APPLE", 1), key="k")
    theirs = msgspec.structs.replace(_again(ours), scope="somebody else")

    answers = await _accept(database, [ours, theirs])

    assert [answer for answer in answers if isinstance(answer, Answer) and answer.replayed] == []
    assert await _orders(database) == {ours.order_id, theirs.order_id}


@pytest.mark.usefixtures("catalogue")
async def test_same_key_at_once_makes_one_order_and_the_other_request_replays_it(
    database: Database, admin: Admin
) -> None:
    placement = a_placement(("APPLE", 1))

    async with transaction(database) as tx:
        [first] = await placements.insert_many(tx, [placement], msgspec.json.encode)
        second = asyncio.create_task(_accept(database, [_again(placement)]))
        await until_blocked(admin)

    assert isinstance(first, Answer)
    assert await second == [msgspec.structs.replace(first, replayed=True)]
    assert await _orders(database) == {placement.order_id}


@pytest.mark.usefixtures("catalogue")
async def test_same_key_at_once_is_free_if_the_first_request_fails(
    database: Database, admin: Admin
) -> None:
    placement = a_placement(("APPLE", 1))
    again = _again(placement)

    async with transaction(database) as tx:
        await placements.insert_many(tx, [placement], msgspec.json.encode)
        second = asyncio.create_task(_accept(database, [again]))
        await until_blocked(admin)
        await tx.rollback()

    [answer] = await second
    assert isinstance(answer, Answer)
    assert (answer.order_id, answer.replayed) == (again.order_id, False)


@pytest.mark.usefixtures("catalogue")
async def test_groups_with_the_same_keys_in_opposite_order_neither_deadlock_nor_double(
    database: Database, admin: Admin
) -> None:
    group = [a_placement(("APPLE", 1), key=key, email=f"{key}@example.com") for key in "amz"]
    # Of other customers, as those of the same one would wait for each other and not for the keys.
    others = {
        p.order_id: msgspec.structs.replace(_again(p), email="bob@example.com") for p in group
    }
    first, second = group, [others[placement.order_id] for placement in reversed(group)]

    # Both groups come to a halt at the key in their middle, holding what they took before it.
    async with transaction(database) as middle:
        carol = msgspec.structs.replace(_again(group[1]), email="carol@example.com")
        await placements.insert_many(middle, [carol], msgspec.json.encode)
        one = asyncio.create_task(_accept(database, first))
        await until_blocked(admin)
        other = asyncio.create_task(_accept(database, second))
        await until_blocked(admin, 2)
        await middle.rollback()

    accepted, replayed = await one, await other
    assert replayed[::-1] == [
        msgspec.structs.replace(answer, replayed=True)
        for answer in accepted
        if isinstance(answer, Answer)
    ]
    assert await _orders(database) == {placement.order_id for placement in first}


@pytest.mark.usefixtures("catalogue")
async def test_poisoned_member_fails_alone_and_the_rest_is_accepted(database: Database) -> None:
    group = [a_placement(("APPLE", 1)) for _ in range(9)]
    group[4] = a_placement(("APPLE", 1), email="nul\0@example.com")

    answers = await in_halves(group, partial(_accept, database))

    assert [isinstance(answer, Answer) for answer in answers] == [n != 4 for n in range(9)]
    assert isinstance(answers[4], Exception)
    assert not isinstance(answers[4], Refusal)
    assert await _orders(database) == {p.order_id for p in group if p is not group[4]}


async def test_cart_that_another_holds_is_waited_for_as_long_as_a_key(database: Database) -> None:
    owner = Holder(ADMIN)
    async with transaction(database) as tx:
        cart, _ = await carts.open_for(tx, ADMIN, "GBP")
    placement = msgspec.structs.replace(a_placement(), cart=CartClaim(cart.id, owner))

    async def accept() -> None:
        async with transaction(database) as tx:
            await tx.execute(text("SET LOCAL lock_timeout = 0"))
            await placements.insert_many(tx, [placement], msgspec.json.encode)

    async with transaction(database) as holding:
        await carts.lock(holding, cart.id, owner)
        with pytest.raises(Busy, match="lock timeout"):
            await accept()


async def test_group_of_nobody_is_answered_with_nothing(tx: AsyncConnection) -> None:
    assert await placements.insert_many(tx, [], msgspec.json.encode) == []


@pytest.mark.usefixtures("catalogue")
async def test_order_of_a_thousand_lines_is_accepted(database: Database) -> None:
    skus = {f"SKU-{n:04}": 1 for n in range(1000)}
    await put_products(database, **skus)

    [answer] = await _accept(database, [a_placement(*((sku, 2) for sku in skus))])

    assert isinstance(answer, Answer)
    async with transaction(database) as tx:
        lines = (await orders.get(tx, answer.order_id)).lines
    assert [(line.sku, line.quantity) for line in lines] == [(sku, 2) for sku in skus]


@pytest.mark.usefixtures("catalogue")
async def test_old_keys_are_forgotten_in_batches_and_their_orders_kept(database: Database) -> None:
    old = [a_placement(("APPLE", 1), key=f"old-{n}") for n in range(3)]
    await _accept(database, old)
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE idempotency_keys SET created_at = now() - interval '4 days'"))
    await _accept(database, [a_placement(("APPLE", 1), key="new")])

    async with transaction(database) as tx:
        went = [await keys.prune(tx, keep_days=3, limit=2) for _ in range(3)]
        left = (await tx.execute(text("SELECT key FROM idempotency_keys"))).scalars().all()

    assert (went, left) == ([2, 1, 0], ["new"])
    assert len(await _orders(database)) == 4
