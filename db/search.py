"""Searching orders: by number, e-mail address, SKU or gateway reference, each by its index."""

import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import LiteralString
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch

# The newest orders of one SKU among which a status is looked for: a few hundredths of a second.
LINES_MAX = 5000
# The beginning of an id, as people read it out.
_BEGINNING = re.compile(r"[0-9a-f]{8}[0-9a-f-]{0,28}", re.IGNORECASE)
_DIGITS = 32
_LAST = UUID(int=(1 << 128) - 1)


class By(StrEnum):
    """What a text was taken for."""

    ALL = "all"
    NUMBER = "number"
    EMAIL = "e-mail address"
    GATEWAY_REF = "gateway reference"
    SKU = "SKU"


class Hit(msgspec.Struct, frozen=True):
    """An order as the list shows it."""

    id: UUID
    email: str
    status: str
    cancel_reason: str | None
    total_minor: int
    currency: str
    created_at: datetime


_HITS: LiteralString = """
    SELECT o.id, o.email, o.status, o.cancel_reason, o.total_minor, o.currency, o.created_at
    FROM orders o """
_NARROWED: LiteralString = """
    AND o.id < %(before)s AND (%(status)s::text IS NULL OR o.status = %(status)s)
    ORDER BY o.id DESC LIMIT %(limit)s
    """
# Read along the index of lines, and no further than is shown.
_OF_SKU: LiteralString = """
    SELECT o.id, o.email, o.status, o.cancel_reason, o.total_minor, o.currency, o.created_at
    FROM (SELECT order_id FROM order_lines WHERE sku = %(text)s AND order_id < %(before)s
          ORDER BY order_id DESC LIMIT %(lines)s) AS l
    JOIN orders o ON o.id = l.order_id
    WHERE %(status)s::text IS NULL OR o.status = %(status)s
    ORDER BY l.order_id DESC LIMIT %(limit)s
    """
# One index for each: with a status the planner must not be left the choice.
_QUERIES: dict[By, LiteralString] = {
    By.NUMBER: "WHERE o.id >= %(least)s AND o.id <= %(most)s",
    By.EMAIL: "WHERE o.email = ANY (%(emails)b::text[])",
    By.GATEWAY_REF: """WHERE o.id IN (
        SELECT order_id FROM payment_attempts WHERE gateway_ref = %(text)s
        UNION SELECT order_id FROM payment_attempts WHERE id = %(attempt)s::uuid LIMIT 100)""",
}


async def find(
    tx: AsyncConnection, text: str, *, status: str | None, before: UUID | None, limit: int
) -> tuple[By, Sequence[Hit]]:
    """Find orders, newest first, and tell what the text was taken for."""
    given: dict[str, object] = {
        "status": status,
        "before": before or _LAST,
        "limit": limit,
        "text": text,
    }
    if not text:
        return By.ALL, await _newest(tx, given)
    if "@" in text:
        emails = sorted({text, text.lower()})
        return By.EMAIL, await _narrowed(tx, By.EMAIL, {**given, "emails": emails})
    if found := await _numbered(tx, text, given):
        return By.NUMBER, found
    if found := await _narrowed(tx, By.GATEWAY_REF, {**given, "attempt": _uuid(text)}):
        return By.GATEWAY_REF, found
    lines = {"lines": limit if status is None else LINES_MAX}
    found = await fetch(tx, Hit, _OF_SKU, {**given, **lines})
    if not found and text != text.upper():
        found = await fetch(tx, Hit, _OF_SKU, {**given, **lines, "text": text.upper()})
    return By.SKU, found


async def _newest(tx: AsyncConnection, given: dict[str, object]) -> Sequence[Hit]:
    by_status: LiteralString = "" if given["status"] is None else "AND o.status = %(status)s "
    query: LiteralString = "WHERE o.id < %(before)s "
    last: LiteralString = "ORDER BY o.id DESC LIMIT %(limit)s"
    return await fetch(tx, Hit, _HITS + query + by_status + last, given)


async def _numbered(tx: AsyncConnection, text: str, given: dict[str, object]) -> Sequence[Hit]:
    digits = text.replace("-", "")
    if not _BEGINNING.fullmatch(text) or len(digits) > _DIGITS:
        return []
    least, most = UUID(digits.ljust(_DIGITS, "0")), UUID(digits.ljust(_DIGITS, "f"))
    return await _narrowed(tx, By.NUMBER, {**given, "least": least, "most": most})


async def _narrowed(tx: AsyncConnection, by: By, given: dict[str, object]) -> Sequence[Hit]:
    return await fetch(tx, Hit, _HITS + _QUERIES[by] + _NARROWED, given)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
