"""The audit log: who of the staff did what to what, and what that changed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from db import audit, dossiers
from db.audit import EntryView, Facts, Filter
from ops.dashboard.page import Page

SHOWN_MAX = 50
# A change of a price list names up to 5,000 prices: whole, it is in `GET /v1/audit`.
VALUE_CHARS_MAX = 300
# Where the page of a target is, by its kind.
_PLACES: Mapping[str, str] = {"order": "/ops/orders/", "stock": "/ops/stock/"}


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the log is narrowed by; moments are of RFC 3339, `until` is exclusive."""

    actor: UUID | None = None
    action: Annotated[str, Meta(max_length=100)] | None = None
    target_kind: Annotated[str, Meta(max_length=100)] | None = None
    target: Annotated[str, Meta(max_length=200)] | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None


class Difference(msgspec.Struct, frozen=True):
    """What one key was and is."""

    key: str
    before: str | None
    after: str | None


class Line(msgspec.Struct, frozen=True):
    """An entry, who did it, where its target is and what it changed."""

    entry: EntryView
    by: str
    href: str
    changed: Sequence[Difference]


def differences(before: Facts | None, after: Facts | None) -> list[Difference]:
    """Name the keys whose values differ; what was the same tells nothing."""
    was, then = before or {}, after or {}
    return [
        Difference(key, _text(was, key), _text(then, key))
        for key in dict.fromkeys([*was, *then])
        if was.get(key) != then.get(key)
    ]


def _text(facts: Facts, key: str) -> str | None:
    value = facts.get(key)
    if value is None:
        return None
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]} …"


def _line(entry: EntryView, names: Mapping[UUID, str]) -> Line:
    by = names.get(entry.actor, str(entry.actor)) if entry.actor else entry.actor_kind
    place = _PLACES.get(entry.target_kind)
    return Line(
        entry,
        f"{by} (API key)" if entry.actor_kind == "key" else by,
        f"{place}{entry.target}" if place else "",
        differences(entry.before, entry.after),
    )


async def show(tx: AsyncConnection, asked: Asked) -> Mapping[str, object]:
    """Read a page of the log."""
    wanted = Filter(
        actor=asked.actor,
        action=asked.action,
        target_kind=asked.target_kind,
        target=asked.target,
        since=asked.since,
        until=asked.until,
    )
    found = await audit.page(tx, wanted, before=asked.before, limit=SHOWN_MAX + 1)
    shown = found[:SHOWN_MAX]
    names = await dossiers.names(tx, sorted({one.actor for one in shown if one.actor}))
    return {
        "lines": [_line(entry, names) for entry in shown],
        "more": shown[-1].id if len(found) > SHOWN_MAX else None,
    }


PAGE = Page("/ops/audit", "Audit", "audit.html", show, Asked, nav="Audit")
