"""Discounts as staff sets them up: put by slug, counted on when a limit comes or goes."""

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run
from domain.discount import CodeTaken, DiscountInUse, UnknownCode

_LAST: LiteralString = "'ffffffff-ffff-ffff-ffff-ffffffffffff'"


class DiscountView(msgspec.Struct, frozen=True):
    """A discount; `uses` is how often it was given, and not given back since."""

    id: UUID
    slug: str
    code: str | None
    kind: str
    value: int
    currency: str | None
    skus: list[str] | None
    minimum_minor: int
    combines: bool
    starts_at: datetime | None
    ends_at: datetime | None
    uses_max: int | None
    uses_per_customer_max: int | None
    uses: int = 0
    version: int = 0


_CONTENT: LiteralString = (
    "id, slug, code, kind, value, currency, skus, minimum_minor, combines, starts_at, ends_at,"
    " uses_max, uses_per_customer_max"
)
# Only one with a limit keeps count; of another there may be millions to be counted.
_VIEW: LiteralString = f"""
    SELECT {_CONTENT},
           CASE WHEN uses_max IS NOT NULL THEN uses ELSE (
               SELECT count(*) FROM discount_redemptions r
               WHERE r.discount_id = d.id AND given_back_at IS NULL
           ) END, version
    FROM discounts d
"""  # noqa: S608 - columns of ours


async def find(tx: AsyncConnection, slug: str) -> DiscountView | None:
    """Read a discount."""
    there = f"{_VIEW} WHERE slug = %(slug)s AND deleted_at IS NULL"
    found = await fetch(tx, DiscountView, there, {"slug": slug})
    return found[0] if found else None


async def page(tx: AsyncConnection, *, before: UUID | None, limit: int) -> Sequence[DiscountView]:
    """List discounts, the newest first; what was given is counted for each."""
    return await fetch(
        tx,
        DiscountView,
        f"""
        {_VIEW} WHERE deleted_at IS NULL AND d.id < coalesce(%(before)s, {_LAST}::uuid)
        ORDER BY d.id DESC LIMIT %(limit)s
        """,
        {"before": before, "limit": limit},
    )


async def lock(tx: AsyncConnection, slug: str) -> tuple[DiscountView | None, int]:
    """Keep others from putting a discount, and orders from being given it, until this ends.

    Returns it, unless it is not there or was deleted, and how often it was ever given. Orders
    that read of no limit hold the row by a key: this waits for them, and then counts.
    """
    # One that is not there yet has no row to lock.
    await run(tx, "SELECT pg_advisory_xact_lock(hashtextextended(%(slug)s, 2))", {"slug": slug})
    await run(tx, "SELECT FROM discounts WHERE slug = %(slug)s FOR UPDATE", {"slug": slug})
    found = await find(tx, slug)
    if found is not None:
        return found, found.uses
    deleted = await fetch(tx, DiscountView, f"{_VIEW} WHERE slug = %(slug)s", {"slug": slug})
    return None, deleted[0].uses if deleted else 0


async def put(tx: AsyncConnection, wanted: DiscountView, *, uses: int) -> DiscountView:
    """Make or change a locked discount that was given `uses` times; its version is counted here.

    Raises CodeTaken, or DiscountInUse for a limit that is passed already.
    """
    if wanted.uses_max is not None and wanted.uses_max < uses:
        raise DiscountInUse(f"It was given {uses} times already.", field="uses_max")
    await _refuse_taken(tx, wanted)
    [made] = await fetch(
        tx,
        DiscountView,
        f"""
        INSERT INTO discounts AS d ({_CONTENT}, uses)
        VALUES (%(id)s, %(slug)s, %(code)s, %(kind)s, %(value)s, %(currency)s, %(skus)s::text[],
                %(minimum_minor)s, %(combines)s, %(starts_at)s, %(ends_at)s, %(uses_max)s,
                %(uses_per_customer_max)s, %(counted)s)
        ON CONFLICT (slug) DO UPDATE
        SET code = excluded.code, kind = excluded.kind, value = excluded.value,
            currency = excluded.currency, skus = excluded.skus,
            minimum_minor = excluded.minimum_minor, combines = excluded.combines,
            starts_at = excluded.starts_at, ends_at = excluded.ends_at,
            uses_max = excluded.uses_max, uses = excluded.uses,
            uses_per_customer_max = excluded.uses_per_customer_max,
            deleted_at = NULL, version = d.version + 1, updated_at = now()
        RETURNING {_CONTENT}, uses, version
        """,  # noqa: S608 - columns of ours
        {**msgspec.structs.asdict(wanted), "counted": uses},
    )
    return made


async def delete(tx: AsyncConnection, slug: str) -> None:
    """Take a discount out of use; what orders were given by it stays, and its row."""
    await run(
        tx,
        """
        UPDATE discounts SET deleted_at = now(), version = version + 1, updated_at = now()
        WHERE slug = %(slug)s
        """,
        {"slug": slug},
    )


async def refuse_unknown(tx: AsyncConnection, code: str) -> None:
    """Raise UnknownCode unless a discount has this code."""
    if not await _with_code(tx, code):
        raise UnknownCode(f"There is no code {code}.", field="code")


async def _refuse_taken(tx: AsyncConnection, wanted: DiscountView) -> None:
    if wanted.code is None:
        return
    # Two that take the same code at once wait for each other here.
    await run(tx, "SELECT pg_advisory_xact_lock(hashtextextended(%(c)s, 3))", {"c": wanted.code})
    if set(await _with_code(tx, wanted.code)) - {wanted.slug}:
        raise CodeTaken(f"Another discount has the code {wanted.code}.", field="code")


async def _with_code(tx: AsyncConnection, code: str) -> list[str]:
    query = "SELECT slug FROM discounts WHERE code = %(code)s AND deleted_at IS NULL"
    return await fetch(tx, str, query, {"code": code})
