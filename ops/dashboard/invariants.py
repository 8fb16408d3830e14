"""Invariants: whether each holds, when it was last looked at, and the rows that break it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from db import audits, findings
from db.audits import AUDITED, Checked
from db.findings import FindingView
from ops.dashboard.page import Page

SHOWN_MAX = 100
# What these find is named by its SKU.
_OF_STOCK = frozenset({"S1 reserved stock is on hand", "S1 reserved stock is what orders hold"})


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which findings: those that are open, or all; and the last one of the page before."""

    findings: Literal["open", "all"] = "open"
    before: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None


class Row(msgspec.Struct, frozen=True):
    """An invariant and how often it is broken now."""

    name: str
    broken: int
    since: datetime | None


def rows(broken: Mapping[str, tuple[int, datetime]]) -> Sequence[Row]:
    """List every invariant, the broken ones first."""
    listed = [Row(one.name, *broken.get(one.name, (0, None))) for one in AUDITED]
    return sorted(listed, key=lambda row: -row.broken)


def place(finding: FindingView) -> str:
    """Give the page of what a finding points at; nothing if there is none."""
    if finding.order_id is not None:
        return f"/ops/orders/{finding.order_id}"
    about_stock = finding.kind in {
        "S1 reserved stock is on hand",
        "S1 reserved stock is what orders hold",
    }
    return f"/ops/stock/{finding.subject}" if about_stock else ""


async def show(tx: AsyncConnection, asked: Asked) -> Mapping[str, object]:
    """Read what was found, and when all was last looked at."""
    is_open = True if asked.findings == "open" else None
    found = await findings.page(tx, is_open=is_open, before=asked.before, limit=SHOWN_MAX + 1)
    shown = found[:SHOWN_MAX]
    checked: Checked = await audits.checked(tx)
    return {
        "invariants": rows(await findings.open_by_kind(tx)),
        "checked": checked,
        "findings": [(one, place(one)) for one in shown],
        "more": shown[-1].id if len(found) > SHOWN_MAX else None,
    }


PAGE = Page("/ops/invariants", "Invariants", "invariants.html", show, Asked, nav="Invariants")
