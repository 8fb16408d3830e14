"""Entries of price lists: what variants cost by them, changed many at once."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run
from domain.price_list import Entry
from domain.refusal import NotFound
from domain.variant import UnknownSku


class Changed(msgspec.Struct, frozen=True):
    """What a change came to: the list's versions, its entries before, and what shows them."""

    was: int
    version: int
    before: list[Entry]
    products: list[str]


async def page(tx: AsyncConnection, name: str, *, after: str, limit: int) -> list[Entry]:
    """List the entries of a list in the order of their SKUs, from just behind `after` on."""
    return await fetch(
        tx,
        Entry,
        """
        SELECT e.sku, e.price_minor, e.compare_at_minor
        FROM price_list_entries e JOIN price_lists l ON l.id = e.list_id
        WHERE l.name = %(name)s AND l.deleted_at IS NULL AND e.sku > %(after)s
        ORDER BY e.sku LIMIT %(limit)s
        """,
        {"name": name, "after": after, "limit": limit},
    )


async def find(tx: AsyncConnection, name: str, sku: str) -> Entry | None:
    """Read what a variant costs by a list."""
    found = await fetch(
        tx,
        Entry,
        """
        SELECT e.sku, e.price_minor, e.compare_at_minor
        FROM price_list_entries e JOIN price_lists l ON l.id = e.list_id
        WHERE l.name = %(name)s AND l.deleted_at IS NULL AND e.sku = %(sku)s
        """,
        {"name": name, "sku": sku},
    )
    return found[0] if found else None


async def change(
    tx: AsyncConnection, name: str, put: Sequence[Entry], delete: Sequence[str]
) -> Changed:
    """Put entries into a list and take others out, all or none; others of it wait.

    No SKU stands there twice. Where there is nothing to take out, nothing is changed. Raises
    NotFound for the list, UnknownSku for an entry, by its place in `put`.
    """
    list_id, was = await _lock(tx, name)
    skus = [*(entry.sku for entry in put), *delete]
    await _refuse_unknown(tx, [entry.sku for entry in put])
    before = await _before(tx, list_id, skus)
    if not put and not before:
        return Changed(was, was, [], [])
    await _put(tx, list_id, put)
    gone = "DELETE FROM price_list_entries WHERE list_id = %(id)s AND sku = ANY (%(skus)b::text[])"
    await run(tx, gone, {"id": list_id, "skus": list(delete)})
    [version] = await fetch(
        tx,
        int,
        """
        UPDATE price_lists SET version = version + 1, updated_at = now() WHERE id = %(id)s
        RETURNING version
        """,
        {"id": list_id},
    )
    return Changed(was, version, before, await _products(tx, skus))


class _List(msgspec.Struct):
    id: UUID
    version: int


async def _lock(tx: AsyncConnection, name: str) -> tuple[UUID, int]:
    found = await fetch(
        tx,
        _List,
        """
        SELECT id, version FROM price_lists
        WHERE name = %(name)s AND deleted_at IS NULL FOR NO KEY UPDATE
        """,
        {"name": name},
    )
    if not found:
        raise NotFound(f"There is no price list {name}.")
    return found[0].id, found[0].version


async def _refuse_unknown(tx: AsyncConnection, skus: Sequence[str]) -> None:
    unknown = await fetch(
        tx,
        str,
        """
        SELECT sku FROM unnest(%(skus)b::text[]) AS w (sku)
        WHERE NOT EXISTS (SELECT FROM variants v WHERE v.sku = w.sku) LIMIT 1
        """,
        {"skus": list(skus)},
    )
    if unknown:
        at = skus.index(unknown[0])
        raise UnknownSku(f"There is no variant {unknown[0]}.", field=f"put[{at}].sku")


async def _before(tx: AsyncConnection, list_id: UUID, skus: Sequence[str]) -> list[Entry]:
    return await fetch(
        tx,
        Entry,
        """
        SELECT sku, price_minor, compare_at_minor FROM price_list_entries
        WHERE list_id = %(id)s AND sku = ANY (%(skus)b::text[]) ORDER BY sku
        """,
        {"id": list_id, "skus": list(skus)},
    )


async def _put(tx: AsyncConnection, list_id: UUID, entries: Sequence[Entry]) -> None:
    await run(
        tx,
        """
        INSERT INTO price_list_entries (list_id, sku, price_minor, compare_at_minor)
        SELECT %(id)s, * FROM unnest(%(sku)b::text[], %(price_minor)b::bigint[],
                                     %(compare_at_minor)b::bigint[])
        ON CONFLICT (sku, list_id) DO UPDATE
        SET price_minor = excluded.price_minor, compare_at_minor = excluded.compare_at_minor
        """,
        {
            "id": list_id,
            "sku": [entry.sku for entry in entries],
            "price_minor": [entry.price_minor for entry in entries],
            "compare_at_minor": [entry.compare_at_minor for entry in entries],
        },
    )


async def _products(tx: AsyncConnection, skus: Sequence[str]) -> list[str]:
    return await fetch(
        tx,
        str,
        """
        SELECT DISTINCT p.slug FROM variants v JOIN catalogue_products p ON p.id = v.product_id
        WHERE v.sku = ANY (%(skus)b::text[])
        """,
        {"skus": list(skus)},
    )
