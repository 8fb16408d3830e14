"""Carts in the database: one open cart of an account, and no line lost, whoever asks at once."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import cart_lines, carts, orders
from db.carts import Cart, Holder
from db.engine import Busy, Database, transaction
from db.ids import new_id
from domain.cart import CartClosed, Kept
from domain.refusal import Conflict, NotFound
from tests.builders import a_placement, place, put_products
from tests.staff import ADMIN

OWNER = Holder(ADMIN)


async def an_open_cart(database: Database) -> Cart:
    async with transaction(database) as tx:
        return (await carts.open_for(tx, ADMIN, "GBP"))[0]


async def page(database: Database, cart: Cart) -> list[Kept]:
    async with transaction(database) as tx:
        return await cart_lines.page(tx, cart.id)


async def test_carts_that_an_account_opens_at_once_are_one(database: Database) -> None:
    opened = await asyncio.gather(*(an_open_cart(database) for _ in range(6)))

    assert len({cart.id for cart in opened}) == 1


async def test_pieces_that_are_added_at_once_are_all_there(database: Database) -> None:
    cart = await an_open_cart(database)

    async def add() -> None:
        async with transaction(database) as tx:
            locked = await carts.lock(tx, cart.id, OWNER)
            await cart_lines.add(tx, locked, "APPLE", 2)
            await carts.bump(tx, locked)

    await asyncio.gather(*(add() for _ in range(6)))

    assert await page(database, cart) == [Kept("APPLE", 12)]


async def test_guests_cart_that_is_merged_twice_at_once_is_merged_once(database: Database) -> None:
    async with transaction(database) as tx:
        guest_id, token = await carts.insert(tx, "GBP")
        holder = carts.holder(ADMIN, token)
        guest = await carts.lock(tx, guest_id, holder)
        await cart_lines.put(tx, guest, "APPLE", 2)

    async def merge() -> object:
        async with transaction(database) as tx:
            return await cart_lines.merge(tx, guest_id, holder, ADMIN)

    first, *others = await asyncio.gather(*(merge() for _ in range(4)))

    account = await an_open_cart(database)
    assert {first, *others} == {account.id}
    assert (account.version, await page(database, account)) == (2, [Kept("APPLE", 2)])


async def test_view_waits_for_who_changes_the_cart_and_never_for_a_line(
    database: Database, impatient: Database
) -> None:
    cart = await an_open_cart(database)
    async with transaction(database) as tx:
        await cart_lines.put(tx, cart, "APPLE", 1)

    async with transaction(database) as tx:
        await carts.lock(tx, cart.id, OWNER)
        with pytest.raises(Busy):
            async with transaction(impatient) as other:
                await cart_lines.see(other, cart, [Kept("APPLE", 1, 250, "in_stock")])


async def test_closed_cart_is_not_changed_any_more(tx: AsyncConnection) -> None:
    cart, _ = await carts.open_for(tx, ADMIN, "GBP")
    await carts.close(tx, [(cart.id, new_id())])

    with pytest.raises(CartClosed):
        await carts.lock(tx, cart.id, OWNER)
    assert await carts.bump(tx, cart) == cart
    assert (await carts.open_for(tx, ADMIN, "GBP"))[0].id != cart.id


async def test_cart_is_closed_once(tx: AsyncConnection) -> None:
    cart, _ = await carts.open_for(tx, ADMIN, "GBP")
    await carts.close(tx, [(cart.id, new_id())])

    with pytest.raises(Conflict):
        await carts.close(tx, [(cart.id, new_id())])


async def test_account_that_is_gone_opens_no_cart(tx: AsyncConnection) -> None:
    await tx.execute(text("UPDATE users SET deleted_at = now(), email = NULL, email_folded = NULL"))

    with pytest.raises(NotFound):
        await carts.open_for(tx, ADMIN, "GBP")


async def test_carts_of_who_is_erased_are_found_without_reading_those_of_others(
    database: Database,
) -> None:
    await put_products(database, APPLE=1)
    [order_id] = await place(database, a_placement(("APPLE", 1)))
    async with transaction(database) as tx:
        merged, ordered, other = [(await carts.insert(tx, "GBP"))[0] for _ in range(3)]
        mine, _ = await carts.open_for(tx, ADMIN, "GBP")
        await carts.close_into(tx, merged, mine.id)
        await carts.close(tx, [(ordered, order_id)])
        await orders.claim(tx, order_id, ADMIN)

    async with transaction(database) as tx:
        await carts.erase(tx, ADMIN)
        read = await tx.scalar(text("SELECT pg_stat_get_xact_numscans('carts'::regclass)"))

    async with transaction(database) as tx:
        left = (await tx.execute(text("SELECT id FROM carts"))).scalars().all()
    assert (left, read) == ([other], 0)


async def test_cart_is_forgotten_once_nobody_touched_it_for_a_month(tx: AsyncConnection) -> None:
    ids = [(await carts.insert(tx, "GBP"))[0] for _ in range(3)]
    await tx.execute(text("INSERT INTO cart_lines SELECT id, 'APPLE', 1 FROM carts"))
    for cart_id, days in zip(ids, (31, 30, 29), strict=True):
        old = "UPDATE carts SET updated_at = now() - make_interval(days => :d) WHERE id = :id"
        await tx.execute(text(old), {"d": days, "id": cart_id})

    gone = [await carts.prune(tx, keep_days=30, limit=1) for _ in range(2)]

    left = (await tx.execute(text("SELECT cart_id FROM cart_lines"))).scalars().all()
    assert gone == [1, 0]
    assert set(left) == set(ids[1:])
