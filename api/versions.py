"""Versions of the API: operations that are to end, and how their callers learn of it in time."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import HTTPScope

from api.answers import Header, add_headers, written

# What we promise: docs/decisions/0009-versions.md.
NOTICE_MIN = timedelta(days=365)


class Ending(msgspec.Struct, frozen=True):
    """Since when an operation should not be used, when it ends, and what to use in its place."""

    deprecated_at: datetime
    sunset_at: datetime
    successor: str
    explained_at: str

    def __post_init__(self) -> None:
        """Refuse less notice than we promise."""
        if self.sunset_at - self.deprecated_at < NOTICE_MIN:
            raise ValueError(f"An operation ends {NOTICE_MIN.days} days after notice, or later.")


# By `METHOD path`, as in the table of policies.
ENDINGS: Mapping[str, Ending] = {}


def headers(ending: Ending) -> list[Header]:
    """Announce an end (RFC 9745, RFC 8594)."""
    sunset = format_datetime(ending.sunset_at.astimezone(UTC), usegmt=True)
    links = (
        f'<{ending.explained_at}>; rel="deprecation"; type="text/html"',
        f'<{ending.successor}>; rel="successor-version"',
    )
    return written(
        {
            "Deprecation": f"@{int(ending.deprecated_at.timestamp())}",
            "Sunset": sunset,
            "Link": ", ".join(links),
        }
    )


Guard = Callable[["ASGIConnection[Any, Any, Any, Any]", BaseRouteHandler], Awaitable[None]]


def announcing(endings: Mapping[str, Ending]) -> Guard:
    """Make the guard that lets everybody pass, and puts the headers on whatever is answered.

    It comes before those that refuse.
    """
    ready = {operation: headers(ending) for operation, ending in endings.items()}

    async def announce(
        connection: "ASGIConnection[Any, Any, Any, Any]", _: BaseRouteHandler
    ) -> None:
        scope = cast("HTTPScope", connection.scope)
        operation = f"{scope['method']} {scope['path_template']}"
        if operation in ready:
            add_headers(scope, ready[operation])

    return announce


def mark(document: dict[str, Any], endings: Mapping[str, Ending]) -> None:
    """Mark the operations in an OpenAPI document. Raises KeyError for one that it does not have."""
    for operation in endings:
        method, _, path = operation.partition(" ")
        document["paths"][path][method.lower()]["deprecated"] = True
