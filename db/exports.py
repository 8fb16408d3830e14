"""All that is known of a person, for them to take away."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import cart_views, carts, orders, review_pages, security, sessions, users
from db.cart_views import CartView, Eyes
from db.engine import fetch
from db.orders import Filter, OrderView
from db.security import SecurityEventView
from db.sessions import SessionView
from db.users import UserView
from domain.review import ReviewState

# More of each than nearly anybody has; the routes list the rest.
SHOWN_MAX = 1000


class KeyView(msgspec.Struct, frozen=True):
    """An API key, without what would open anything."""

    id: UUID
    name: str
    prefix: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class MailView(msgspec.Struct, frozen=True):
    """A mail that was sent about the account."""

    kind: str
    recipient: str
    created_at: datetime
    sent_at: datetime | None


class Written(msgspec.Struct, frozen=True):
    """A review that one wrote of a product, a slug; `reason` says why it is rejected."""

    product: str
    stars: int
    title: str | None
    text: str | None
    author: str | None
    state: ReviewState
    reason: str | None
    created_at: datetime
    updated_at: datetime


class Export(msgspec.Struct, frozen=True):
    """Everything of a person; `complete` is false if there were more orders than are shown."""

    account: UserView
    sessions: list[SessionView]
    security_events: list[SecurityEventView]
    api_keys: list[KeyView]
    mails: list[MailView]
    reviews: list[Written]
    carts: list[CartView]
    orders: list[OrderView]
    complete: bool


async def get(tx: AsyncConnection, user_id: UUID) -> Export:
    """Gather all that is known of a person."""
    params = {"id": user_id, "limit": SHOWN_MAX}
    keys = await fetch(
        tx,
        KeyView,
        """
        SELECT id, name, prefix, scopes, created_at, expires_at, last_used_at, revoked_at
        FROM api_keys WHERE user_id = %(id)s ORDER BY id DESC LIMIT %(limit)s
        """,
        params,
    )
    mails = await fetch(
        tx,
        MailView,
        """
        SELECT kind, recipient, created_at, sent_at FROM account_notices
        WHERE user_id = %(id)s ORDER BY id DESC LIMIT %(limit)s
        """,
        params,
    )
    placed = await orders.page(tx, Filter(user_id=user_id), before=None, limit=SHOWN_MAX + 1)
    return Export(
        account=await users.get(tx, user_id),
        sessions=list(await sessions.page(tx, user_id, before=None, limit=SHOWN_MAX)),
        security_events=await security.latest(tx, user_id, limit=SHOWN_MAX),
        api_keys=keys,
        mails=mails,
        reviews=[
            msgspec.convert(each, Written, from_attributes=True)
            for each in await review_pages.of_author(tx, user_id, limit=SHOWN_MAX)
        ],
        carts=[
            await cart_views.get(tx, cart, Eyes(user_id)) for cart in await carts.page(tx, user_id)
        ],
        orders=placed[:SHOWN_MAX],
        complete=len(placed) <= SHOWN_MAX,
    )
