"""Customers who bought something, and what they write of it over HTTP."""

from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from db.engine import Database, transaction
from tests.api.people import Person
from tests.web import post_order


async def buy(
    client: httpx.AsyncClient,
    database: Database,
    who: Person,
    *skus: str,
    status: str = "delivered",
) -> UUID:
    """Have somebody order one of each, with the order in a status without the way there."""
    items = [(sku, 1) for sku in skus]
    placed = await post_order(client, *items, headers=who.headers, email=f"{who.id}@example.com")
    assert placed.status_code == 202, placed.text
    order_id = UUID(placed.json()["id"])
    async with transaction(database) as tx:
        await tx.execute(text("SET LOCAL session_replication_role = replica"))
        move = text("UPDATE orders SET status = :status, cancel_reason = :reason WHERE id = :id")
        reason = "customer" if status == "cancelled" else None
        await tx.execute(move, {"id": order_id, "status": status, "reason": reason})
    return order_id


def mine(slug: str) -> str:
    """Give where one's own review of a product is."""
    return f"/v1/products/{slug}/reviews/mine"


async def write_review(
    client: httpx.AsyncClient, who: Person, slug: str, *, stars: int = 5, **more: Any
) -> httpx.Response:
    """Have somebody write a review."""
    headers = {**who.headers, **more.pop("headers", {})}
    return await client.put(mine(slug), json={"stars": stars, **more}, headers=headers)
