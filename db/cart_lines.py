"""What is in carts: lines put, added, taken out, seen, and brought along at the login."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import carts
from db.carts import Cart, Holder
from db.engine import fetch, run
from domain.cart import CartState, Kept, merged, refuse_closed, refuse_full


async def page(tx: AsyncConnection, cart_id: UUID) -> list[Kept]:
    """Read the lines of a cart in the order in which they came."""
    return [line for _, line in await page_many(tx, [cart_id])]


async def page_many(tx: AsyncConnection, ids: Sequence[UUID]) -> list[tuple[UUID, Kept]]:
    """Read the lines of carts, each with its cart, in the order in which they came."""
    return await fetch(
        tx,
        _line,
        """
        SELECT cart_id, sku, quantity, seen_minor, seen FROM cart_lines
        WHERE cart_id = ANY (%(ids)b::uuid[]) ORDER BY cart_id, added_at, sku
        """,
        {"ids": list(ids)},
    )


def _line(
    cart_id: UUID, sku: str, quantity: int, seen_minor: int | None, seen: str | None
) -> tuple[UUID, Kept]:
    return cart_id, Kept(sku, quantity, seen_minor, seen)


async def put(tx: AsyncConnection, cart: Cart, sku: str, quantity: int) -> None:
    """Have so many of a SKU in a locked cart; again is the same. Raises CartFull."""
    there = await page(tx, cart.id)
    refuse_full(len({sku, *(line.sku for line in there)}), quantity)
    await _write(tx, cart.id, [Kept(sku, quantity)])


async def add(tx: AsyncConnection, cart: Cart, sku: str, quantity: int) -> None:
    """Put so many more of a SKU into a locked cart; raises CartFull."""
    there = {line.sku: line.quantity for line in await page(tx, cart.id)}
    await put(tx, cart, sku, there.get(sku, 0) + quantity)


async def _write(tx: AsyncConnection, cart_id: UUID, wanted: Sequence[Kept]) -> None:
    """Write lines; what was seen of those that are there stays."""
    await run(
        tx,
        """
        INSERT INTO cart_lines AS l (cart_id, sku, quantity, added_at)
        SELECT %(id)s, sku, quantity, clock_timestamp()
        FROM unnest(%(sku)b::text[], %(quantity)b::int[]) AS w (sku, quantity)
        ON CONFLICT (cart_id, sku) DO UPDATE SET quantity = excluded.quantity
        """,
        {
            "id": cart_id,
            "sku": [line.sku for line in wanted],
            "quantity": [line.quantity for line in wanted],
        },
    )


async def delete(tx: AsyncConnection, cart: Cart, sku: str | None) -> int:
    """Take a line, or without a SKU all of them, out of a locked cart; returns how many went."""
    return await run(
        tx,
        """
        DELETE FROM cart_lines
        WHERE cart_id = %(id)s AND sku = coalesce(%(sku)s, sku)
        """,
        {"id": cart.id, "sku": sku},
    )


async def see(tx: AsyncConnection, cart: Cart, seen: Sequence[Kept]) -> None:
    """Note what is shown of the lines of a cart, which is locked first, as everywhere."""
    await run(
        tx,
        """
        WITH locked AS MATERIALIZED (SELECT id FROM carts WHERE id = %(id)s FOR NO KEY UPDATE)
        UPDATE cart_lines l SET seen_minor = s.seen_minor, seen = s.seen
        FROM locked, unnest(%(sku)b::text[], %(seen_minor)b::bigint[], %(seen)b::text[])
          AS s (sku, seen_minor, seen)
        WHERE l.cart_id = locked.id AND l.sku = s.sku
        """,
        {
            "id": cart.id,
            "sku": [line.sku for line in seen],
            "seen_minor": [line.seen_minor for line in seen],
            "seen": [line.seen for line in seen],
        },
    )


async def in_currency(tx: AsyncConnection, cart: Cart, currency: str) -> Cart:
    """Have a cart in another currency, as long as nothing is in it; returns it as it is then.

    Else an account that once opened one could never buy in another currency again.
    """
    if cart.currency == currency:
        return cart
    locked = (await carts.lock_many(tx, [cart.id])).get(cart.id, cart)
    if locked.state != CartState.OPEN or await page(tx, cart.id):
        return locked
    await run(
        tx,
        "UPDATE carts SET currency = %(currency)s WHERE id = %(id)s",
        {"currency": currency, "id": cart.id},
    )
    return await carts.bump(tx, msgspec.structs.replace(locked, currency=currency))


async def merge(tx: AsyncConnection, cart_id: UUID, asker: Holder, user_id: UUID) -> UUID:
    """Have what is in a guest's cart in that of an account, and close it; returns the latter.

    A cart that went into one of the account already stays there. Raises NotFound or CartClosed.
    """
    guest = await carts.get(tx, cart_id, asker)
    if guest.user_id is not None:
        return guest.id
    if guest.merged_into is None:
        account, _ = await carts.open_for(tx, user_id, guest.currency)
        locked = await carts.lock_many(tx, [guest.id, account.id])
        guest, account = locked[guest.id], locked[account.id]
        if guest.merged_into is None:
            refuse_closed(CartState(guest.state))
            refuse_closed(CartState(account.state))
            account = await in_currency(tx, account, guest.currency)
            await _merge(tx, guest, account)
            return account.id
    into = await carts.lock_many(tx, [guest.merged_into])
    # The name of another account's cart is none of their business.
    return carts.own([*into.values()], cart_id, Holder(user_id)).id


async def _merge(tx: AsyncConnection, guest: Cart, account: Cart) -> None:
    await _write(tx, account.id, merged(await page(tx, account.id), await page(tx, guest.id)))
    await carts.bump(tx, account, [*account.codes, *guest.codes])
    await carts.close_into(tx, guest.id, account.id)
