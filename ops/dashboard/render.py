"""Rendering: templates to pages, and the parts of a page that live to fragments."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from domain.money import Money
from domain.notice import amount

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
TEMPLATES = _HERE / "templates"
# Blocks of this prefix are what is sent again when it changes.
_LIVE = "live_"
_BASE = "base.html"
_DIGEST_CHARS = 16
# What stands where there is no value.
_NONE = "\N{EN DASH}"
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400


def page(template: str, context: Mapping[str, object]) -> str:
    """Render a whole page."""
    return _environment().get_template(template).render(context)


def fragments(template: str, context: Mapping[str, object]) -> dict[str, str]:
    """Render what lives on a page, by the id of the element around it."""
    found: dict[str, str] = {}
    for name in (_BASE, template):
        source = _environment().get_template(name)
        for block, render in source.blocks.items():
            if block.startswith(_LIVE):
                html = "".join(render(source.new_context(dict(context))))
                found[block.removeprefix(_LIVE).replace("_", "-")] = html
    return found


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters = cast("dict[str, Callable[..., str]]", made.filters)
    filters |= {each.__name__: each for each in (duration, number, iso, clock, words, money)}
    names = cast("dict[str, object]", made.globals)
    names["asset"] = asset
    # Not by an import at the head of a template, which a fragment does not see.
    for shared in ("parts", "desk"):
        names[shared] = made.get_template(f"{shared}.html").module
    return made


@cache
def version(name: str) -> str:
    """Tell a file's content by its digest, which is its strong ETag, too."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:_DIGEST_CHARS]


def asset(name: str) -> str:
    """Write the address of a file, which changes with its content."""
    return f"/ops/static/{name}?v={version(name)}"


def duration(seconds: float | None) -> str:
    """Write a length of time in the unit that fits: 85 ms, 2.4 s, 3 min, 5 h, 2 d."""
    if seconds is None:
        return _NONE
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for unit_s, unit in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.1f}".removesuffix(".0") + " s"


def number(value: float | None) -> str:
    """Write a number with its thousands apart."""
    if value is None:
        return _NONE
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def money(minor: int, currency: str) -> str:
    """Write an amount of minor units."""
    return amount(Money(minor, currency))


def iso(at: datetime) -> str:
    """Write a moment for machines."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(at: datetime) -> str:
    """Write a moment for people."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def words(name: str) -> str:
    """Write a name of ours as words: `payment_declined` as `payment declined`."""
    return name.replace("_", " ")
