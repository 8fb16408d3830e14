"""Answers of the edge itself, and headers it adds to those of others."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec
from litestar.types import Scope, Send

from api.codes import KINDS
from api.problems import MEDIA_TYPE, Problem

Header = tuple[bytes, bytes]

_ADDED = "orderflow.headers"
_NO_HEADERS: Mapping[str, str] = {}


def add_headers(scope: Scope, headers: Iterable[Header]) -> None:
    """Have the answer carry headers, unless who makes it sets them otherwise."""
    added: list[Header] = cast("dict[str, Any]", scope).setdefault(_ADDED, [])
    added.extend(headers)


def added_headers(scope: Scope) -> list[Header]:
    """Tell which headers were added."""
    return cast("dict[str, Any]", scope).get(_ADDED, [])


def written(headers: Mapping[str, str]) -> list[Header]:
    """Write headers as they go over the wire."""
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


async def refuse(send: Send, content: Problem, headers: Mapping[str, str] = _NO_HEADERS) -> None:
    """Answer with a problem and the headers its code calls for."""
    body = msgspec.json.encode(content)
    own = {
        "content-type": MEDIA_TYPE,
        "content-length": str(len(body)),
        **KINDS[content.code].headers,
        **headers,
    }
    await send({"type": "http.response.start", "status": content.status, "headers": written(own)})
    await send({"type": "http.response.body", "body": body, "more_body": False})
