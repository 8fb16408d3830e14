"""Cross-origin requests: the scripts of sites on a list may call the API, those of others not."""

import re
from http import HTTPStatus
from typing import final

from litestar.types import ASGIApp, Receive, Scope, Send

from api.answers import add_headers, written
from ops.config import SettingInvalid

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(?::[0-9]{1,5})?")

_PREFLIGHT = written(
    {
        "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
        "Access-Control-Allow-Headers": "Authorization, Cart-Token, Content-Type, Idempotency-Key,"
        " If-Match, If-None-Match, X-Request-Id, traceparent",
        # Chromium keeps it no longer than two hours; a change of ours is seen within ten minutes.
        "Access-Control-Max-Age": "600",
    }
)
_EXPOSED = written(
    {
        "Access-Control-Expose-Headers": "Cart-Token, Deprecation, ETag, Idempotent-Replayed,"
        " Link, Location, Order-Claim-Token, RateLimit, RateLimit-Policy, Retry-After, Sunset,"
        " X-Request-Id"
    }
)


@final
class Cors:
    """Lets the scripts of sites on the list read answers, errors and refusals included.

    An origin is on the list or it is not: neither patterns nor parts of names are compared.
    Credentials travel in headers, so cookies are not asked for.
    """

    def __init__(self, app: ASGIApp, origins: str) -> None:
        """Read CORS_ORIGINS. Raises SettingInvalid for what is no origin."""
        self._app = app
        self._origins = frozenset(
            _origin(part.strip()).encode() for part in origins.split(",") if part.strip()
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._origins:
            await self._app(scope, receive, send)
            return
        add_headers(scope, [(b"vary", b"Origin")])
        given = [value for name, value in scope["headers"] if name == b"origin"]
        if len(given) == 1 and given[0] in self._origins:
            add_headers(scope, [(b"access-control-allow-origin", given[0])])
            if scope["method"] == "OPTIONS" and _asks_first(scope):
                await _allow(scope, send)
                return
            add_headers(scope, _EXPOSED)
        await self._app(scope, receive, send)


def _asks_first(scope: Scope) -> bool:
    return any(name == b"access-control-request-method" for name, _ in scope["headers"])


async def _allow(scope: Scope, send: Send) -> None:
    """Say what the script may send; whether the path takes it, its request finds out."""
    add_headers(scope, _PREFLIGHT)
    await send({"type": "http.response.start", "status": HTTPStatus.NO_CONTENT, "headers": []})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise SettingInvalid(
            f"CORS_ORIGINS: `{text}` is no origin: give e.g. https://shop.example, in lower case"
            " and without a path."
        )
    return text
