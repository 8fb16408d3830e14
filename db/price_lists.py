"""Price lists: put, deleted and listed by staff, without the prices in them."""

from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run
from db.ids import new_id
from domain.price_list import ListCurrencyFixed, PriceList, PriceListContent
from domain.refusal import NotFound

# No id is behind it.
_END = UUID(int=2**128 - 1)


async def lock(tx: AsyncConnection, name: str) -> None:
    """Keep others from creating, changing or deleting one list until the transaction ends."""
    await run(
        tx,
        "SELECT pg_advisory_xact_lock(hashtextextended('price list ' || %(name)s::text, 0))",
        {"name": name},
    )


async def find(tx: AsyncConnection, name: str) -> PriceList | None:
    """Read a list that is not deleted."""
    found = await fetch(
        tx,
        PriceList,
        """
        SELECT name, currency, priority, valid_from, valid_to, version, created_at, updated_at
        FROM price_lists WHERE name = %(name)s AND deleted_at IS NULL
        """,
        {"name": name},
    )
    return found[0] if found else None


async def page(
    tx: AsyncConnection, *, before: UUID | None, limit: int
) -> list[tuple[UUID, PriceList]]:
    """List lists with their ids, newest first, from just before `before` on."""
    return await fetch(
        tx,
        _listed,
        """
        SELECT id, name, currency, priority, valid_from, valid_to, version, created_at, updated_at
        FROM price_lists
        WHERE deleted_at IS NULL AND id < %(before)s
        ORDER BY id DESC LIMIT %(limit)s
        """,
        {"before": before or _END, "limit": limit},
    )


async def put(tx: AsyncConnection, name: str, content: PriceListContent) -> PriceList:
    """Create or replace a list, or bring a deleted one back with its prices.

    Its version is counted on. Raises ListCurrencyFixed if it has prices in another currency.
    """
    await _refuse_other_currency(tx, name, content.currency)
    await run(
        tx,
        """
        INSERT INTO price_lists AS l (id, name, currency, priority, valid_from, valid_to)
        VALUES (%(id)s, %(name)s, %(currency)s, %(priority)s, %(valid_from)s, %(valid_to)s)
        ON CONFLICT (name) DO UPDATE
        SET currency = excluded.currency, priority = excluded.priority,
            valid_from = excluded.valid_from, valid_to = excluded.valid_to,
            deleted_at = NULL, version = l.version + 1, updated_at = now()
        """,
        {"id": new_id(), "name": name, **msgspec.structs.asdict(content)},
    )
    stored = await find(tx, name)
    if stored is None:
        raise NotFound(f"There is no price list {name}.")
    return stored


async def delete(tx: AsyncConnection, name: str) -> None:
    """Have a list not count any more; it and its prices stay, for it to be brought back."""
    await run(
        tx,
        """
        UPDATE price_lists SET deleted_at = now(), version = version + 1, updated_at = now()
        WHERE name = %(name)s AND deleted_at IS NULL
        """,
        {"name": name},
    )


async def _refuse_other_currency(tx: AsyncConnection, name: str, currency: str) -> None:
    # Whoever is just putting prices into it is waited for, so that the next statement sees them.
    locked = "SELECT FROM price_lists WHERE name = %(name)s FOR NO KEY UPDATE"
    await run(tx, locked, {"name": name})
    priced = await fetch(
        tx,
        str,
        """
        SELECT currency FROM price_lists l
        WHERE name = %(name)s AND currency <> %(currency)s
          AND EXISTS (SELECT FROM price_list_entries e WHERE e.list_id = l.id)
        """,
        {"name": name, "currency": currency},
    )
    if priced:
        raise ListCurrencyFixed(
            f"{name} has prices in {priced[0]}: make another list, or delete them first.",
            field="currency",
        )


def _listed(list_id: UUID, *columns: object) -> tuple[UUID, PriceList]:
    fields = dict(zip(PriceList.__struct_fields__, columns, strict=True))
    return list_id, msgspec.convert(fields, PriceList)
