"""Locations: put, listed, deleted once nothing lies there, and found by their codes."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run
from db.ids import new_id
from domain.location import LocationInUse
from domain.refusal import NotFound

# Of more warehouses and shops than this nobody allocates by a list.
LOCATIONS_MAX = 1000


class LocationView(msgspec.Struct, frozen=True):
    """A place where stock lies; the smallest `priority` comes first."""

    code: str
    name: str
    country: str
    postcode: str | None
    priority: int
    version: int


class _Named(msgspec.Struct):
    code: str
    id: UUID


async def page(tx: AsyncConnection) -> list[LocationView]:
    """List all locations in their order."""
    return await fetch(
        tx,
        LocationView,
        """
        SELECT code, name, country, postcode, priority, version FROM locations
        WHERE deleted_at IS NULL ORDER BY priority, code LIMIT %(limit)s
        """,
        {"limit": LOCATIONS_MAX},
    )


async def find(tx: AsyncConnection, code: str) -> LocationView | None:
    """Read a location."""
    found = await fetch(
        tx,
        LocationView,
        """
        SELECT code, name, country, postcode, priority, version FROM locations
        WHERE code = %(code)s AND deleted_at IS NULL
        """,
        {"code": code},
    )
    return found[0] if found else None


async def put(tx: AsyncConnection, wanted: LocationView) -> LocationView:
    """Create or replace a location; its version is counted here, on from that of a deleted one."""
    [stored] = await fetch(
        tx,
        LocationView,
        """
        INSERT INTO locations AS l (id, code, name, country, postcode, priority)
        VALUES (%(id)s, %(code)s, %(name)s, %(country)s, %(postcode)s, %(priority)s)
        ON CONFLICT (code) DO UPDATE
        SET name = excluded.name, country = excluded.country, postcode = excluded.postcode,
            priority = excluded.priority, deleted_at = NULL, version = l.version + 1,
            updated_at = now()
        RETURNING code, name, country, postcode, priority, version
        """,
        {"id": new_id(), **msgspec.structs.asdict(wanted)},
    )
    return stored


async def delete(tx: AsyncConnection, code: str) -> LocationView | None:
    """Close a location; returns what it was, None if it is not there.

    Raises LocationInUse while stock lies there or is to come there. Nothing is put there from the
    lock on until the transaction ends.
    """
    held = "SELECT id::text FROM locations WHERE code = %(code)s AND deleted_at IS NULL FOR UPDATE"
    ids = await fetch(tx, UUID, held, {"code": code})
    if not ids:
        return None
    was = await find(tx, code)
    gone = await run(
        tx,
        """
        UPDATE locations l SET deleted_at = now(), version = version + 1, updated_at = now()
        WHERE id = %(id)s
          AND NOT EXISTS (SELECT FROM stock_levels s WHERE s.location_id = l.id AND s.on_hand > 0)
          AND NOT EXISTS (SELECT FROM incoming i
                          WHERE (i.location_id = l.id OR i.source_id = l.id AND i.in_transit)
                            AND i.cancelled_at IS NULL AND i.received < i.quantity)
        """,
        {"id": ids[0]},
    )
    if not gone:
        raise LocationInUse(f"Stock lies at {code}, or is to come there: transfer it first.")
    return was


async def hold(tx: AsyncConnection, codes: Sequence[str]) -> dict[str, UUID]:
    """Find locations, which nobody deletes until the transaction ends; call before stock is locked.

    Raises NotFound for one that is not there.
    """
    found = await fetch(
        tx,
        _Named,
        """
        SELECT code, id FROM locations WHERE code = ANY (%(codes)b::text[])
          AND deleted_at IS NULL ORDER BY code FOR SHARE
        """,
        {"codes": sorted(codes)},
    )
    by_code = {each.code: each.id for each in found}
    for code in codes:
        if code not in by_code:
            raise NotFound(f"There is no location {code}.")
    return by_code


async def find_id(tx: AsyncConnection, code: str | None) -> UUID | None:
    """Find one location as `hold` does; None is at no location."""
    return None if code is None else (await hold(tx, [code]))[code]
