"""Carts: opened, found and closed; each belongs to an account or to a secret."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run
from db.ids import new_id
from domain.cart import CODES_MAX, CartState, refuse_closed
from domain.refusal import Conflict, NotFound

# Scanners for leaked secrets find ours by this beginning.
_BEGINS = "of_cart_"
_TOKEN_BYTES = 32
_FORM = re.compile(rf"{_BEGINS}([0-9a-f]{{32}})_[A-Za-z0-9_-]{{43}}")
# More than anybody orders in a month.
SHOWN_MAX = 100

# Whoever looks at a cart after a day has not abandoned it, which is noted.
_CART: LiteralString = (
    "id, user_id, token_hash, currency, state, order_id, merged_into, codes, version, updated_at,"
    " updated_at < now() - interval '1 day'"
)


class Holder(msgspec.Struct, frozen=True):
    """Who asks: an account, who knows the secret of a cart, or both."""

    user_id: UUID | None = None
    token_hash: bytes | None = None


class Cart(msgspec.Struct, frozen=True):
    """A cart without its lines."""

    id: UUID
    user_id: UUID | None
    token_hash: bytes | None
    currency: str
    state: str
    order_id: UUID | None
    merged_into: UUID | None
    codes: list[str]
    version: int
    updated_at: datetime
    idle: bool

    def is_of(self, holder: Holder) -> bool:
        """Tell whether the cart is there for somebody."""
        if self.token_hash is not None:
            return hmac.compare_digest(self.token_hash, holder.token_hash or b"")
        return self.user_id is not None and self.user_id == holder.user_id


class CartClaim(msgspec.Struct, frozen=True):
    """A cart that somebody orders; with versions, only as it is in one of them."""

    id: UUID
    asker: Holder
    versions: frozenset[int] | None = None


def holder(user_id: UUID | None, token: str | None) -> Holder:
    """Say who asks by what they sent."""
    return Holder(user_id, None if token is None else _hash(token))


async def insert(tx: AsyncConnection, currency: str) -> tuple[UUID, str]:
    """Open a cart for whoever gets its secret, which is kept as a hash only; returns id and it."""
    cart_id = new_id()
    token = f"{_BEGINS}{cart_id.hex}_{secrets.token_urlsafe(_TOKEN_BYTES)}"
    await run(
        tx,
        "INSERT INTO carts (id, token_hash, currency) VALUES (%(id)s, %(hash)s, %(currency)s)",
        {"id": cart_id, "hash": _hash(token), "currency": currency},
    )
    return cart_id, token


def named(token: str) -> UUID | None:
    """Read which cart a token says that it opens; whether it does is another matter."""
    parts = _FORM.fullmatch(token)
    return None if parts is None else UUID(hex=parts[1])


async def open_for(tx: AsyncConnection, user_id: UUID, currency: str) -> tuple[Cart, bool]:
    """Give the open cart of an account, a new one if it has none, and tell which.

    An account has one open cart, whoever opens one at the same time. Raises NotFound for an
    account that is just being erased.
    """
    made = await run(
        tx,
        """
        INSERT INTO carts (id, user_id, currency)
        SELECT %(id)s, u.id, %(currency)s FROM users u
        WHERE u.id = %(user_id)s AND u.deleted_at IS NULL FOR SHARE
        ON CONFLICT (user_id) WHERE state = 'open' DO NOTHING
        """,
        {"id": new_id(), "user_id": user_id, "currency": currency},
    )
    return await get_open(tx, user_id), made == 1


async def get_open(tx: AsyncConnection, user_id: UUID) -> Cart:
    """Read the open cart of an account; raises NotFound."""
    found = await fetch(
        tx,
        Cart,
        f"""
        SELECT {_CART}
        FROM carts WHERE user_id = %(user_id)s AND state = 'open'
        """,  # noqa: S608 - columns of ours
        {"user_id": user_id},
    )
    if not found:
        raise NotFound("Your account has no open cart: POST /v1/carts opens one.")
    return found[0]


async def page(tx: AsyncConnection, user_id: UUID) -> list[Cart]:
    """Read the carts of an account, the newest first; the closed ones are a month old at most."""
    return await fetch(
        tx,
        Cart,
        f"""
        SELECT {_CART}
        FROM carts WHERE user_id = %(user_id)s ORDER BY id DESC LIMIT %(limit)s
        """,  # noqa: S608 - columns of ours
        {"user_id": user_id, "limit": SHOWN_MAX},
    )


async def get(tx: AsyncConnection, cart_id: UUID, asker: Holder) -> Cart:
    """Read a cart; raises NotFound, also for one that is not of who asks."""
    found = await fetch(
        tx,
        Cart,
        f"""
        SELECT {_CART}
        FROM carts WHERE id = %(id)s
        """,  # noqa: S608 - columns of ours
        {"id": cart_id},
    )
    return own(found, cart_id, asker)


async def lock(tx: AsyncConnection, cart_id: UUID, asker: Holder) -> Cart:
    """Lock an open cart until the transaction ends; raises NotFound or CartClosed."""
    cart = own(list((await lock_many(tx, [cart_id])).values()), cart_id, asker)
    refuse_closed(CartState(cart.state))
    return cart


async def lock_many(tx: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, Cart]:
    """Lock carts in the order of their ids, whoever's they are and however they stand."""
    found = await fetch(
        tx,
        Cart,
        f"""
        SELECT {_CART}
        FROM carts WHERE id = ANY (%(ids)b::uuid[]) ORDER BY id FOR NO KEY UPDATE
        """,  # noqa: S608 - columns of ours
        {"ids": sorted(ids)},
    )
    return {cart.id: cart for cart in found}


def own(found: Sequence[Cart], cart_id: UUID, asker: Holder) -> Cart:
    """Give the cart if it is of who asks; else it is as if it were not there (NotFound)."""
    if not found or not found[0].is_of(asker):
        raise NotFound(f"There is no cart {cart_id}.")
    return found[0]


async def bump(tx: AsyncConnection, cart: Cart, codes: Sequence[str] | None = None) -> Cart:
    """Count a change of a cart, or of its codes; returns it as it is then.

    If somebody else changed it meanwhile, it is returned as it was given.
    """
    kept = cart.codes if codes is None else list(dict.fromkeys(codes))[:CODES_MAX]
    found = await fetch(
        tx,
        Cart,
        f"""
        UPDATE carts SET version = version + 1, codes = %(codes)b::text[], updated_at = now()
        WHERE id = %(id)s AND version = %(version)s AND state = 'open'
        RETURNING {_CART}
        """,  # noqa: S608 - columns of ours
        {"id": cart.id, "version": cart.version, "codes": kept},
    )
    return found[0] if found else cart


async def close(tx: AsyncConnection, ordered: Sequence[tuple[UUID, UUID]]) -> None:
    """Close locked carts, each with the order that was made of it.

    Raises Conflict if one of them is closed already: nothing is ordered twice, whoever forgot to
    lock it.
    """
    if not ordered:
        return
    closed = await run(
        tx,
        """
        UPDATE carts c SET state = 'ordered', order_id = o.order_id, version = version + 1,
                           updated_at = now()
        FROM unnest(%(cart)b::uuid[], %(order)b::uuid[]) AS o (cart_id, order_id)
        WHERE c.id = o.cart_id AND c.state = 'open'
        """,
        {
            "cart": [cart_id for cart_id, _ in ordered],
            "order": [order_id for _, order_id in ordered],
        },
    )
    if closed != len(ordered):
        raise Conflict("The cart was ordered meanwhile: look at it again.")


async def close_into(tx: AsyncConnection, cart_id: UUID, into: UUID) -> None:
    """Close a locked cart whose lines went into another one."""
    await run(
        tx,
        """
        UPDATE carts SET state = 'merged', merged_into = %(into)s, version = version + 1,
                         updated_at = now() WHERE id = %(id)s
        """,
        {"into": into, "id": cart_id},
    )


async def erase(tx: AsyncConnection, user_id: UUID) -> None:
    """Delete the carts of an account, and those of a guest which it took over or ordered."""
    await run(
        tx,
        """
        DELETE FROM carts WHERE id IN (
            SELECT id FROM carts WHERE user_id = %(id)s
            UNION ALL
            SELECT c.id FROM carts m JOIN carts c ON c.merged_into = m.id WHERE m.user_id = %(id)s
            UNION ALL
            SELECT c.id FROM orders o JOIN carts c ON c.order_id = o.id WHERE o.user_id = %(id)s)
        """,
        {"id": user_id},
    )


async def prune(tx: AsyncConnection, *, keep_days: int, limit: int) -> int:
    """Delete carts that nobody has changed for `keep_days`, with their lines.

    One that is just being changed is not abandoned.
    """
    return await run(
        tx,
        """
        DELETE FROM carts WHERE id IN (
            SELECT id FROM carts WHERE updated_at < now() - make_interval(days => %(days)s)
            ORDER BY updated_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
        """,
        {"days": keep_days, "limit": limit},
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
