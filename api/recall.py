"""Pages that were shown before, shown again without asking a route: nothing else differs."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar, cast, final

import msgspec
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from api.answers import Header, written
from api.conditional import names
from api.cookies import CSRF_HEADER
from api.problems import InvalidRequest
from api.versions import ENDINGS
from db.cache import Cache, Kind
from domain.principal import PrincipalKind

JSON = "application/json"
# Staff sees what the public does not; who is staff, these say. A cookie alone says nothing here.
VARY = f"Authorization, {CSRF_HEADER}"
# Each some hundred bytes. Beyond it those are forgotten that were asked for least recently.
ADDRESSES_MAX = 4_000
# Those of pages are short; others are looked up each time.
ADDRESS_BYTES_MAX = 256


class Page(msgspec.Struct, frozen=True):
    """The content of an answer in JSON, its entity tag, and headers of its own."""

    body: bytes
    etag: str
    headers: dict[str, str] = {}


class Pages(msgspec.Struct, frozen=True):
    """Pages of one route: how they are cached here, and how by others."""

    kind: Kind[Page]
    control: str


class Address(msgspec.Struct, frozen=True):
    """Which page a path and query show to whoever has not logged in, and by which route."""

    of: Pages
    key: str
    template: str


@final
class Addresses:
    """What the application has found out about its addresses.

    A route that shows a page depends on nothing but path and query, and checked both then.
    """

    max: ClassVar[int] = ADDRESSES_MAX

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, bytes], Address] = {}

    def note(self, scope: Mapping[str, Any], of: Pages, key: str) -> None:
        """Keep what an address shows."""
        path, query, template = scope["raw_path"], scope["query_string"], scope["path_template"]
        # Of one that ends its callers have to be told.
        if len(path) + len(query) > ADDRESS_BYTES_MAX or f"GET {template}" in ENDINGS:
            return
        self._known[path, query] = Address(of, key, template)
        if len(self._known) > self.max:
            del self._known[next(iter(self._known))]

    def find(self, scope: HTTPScope) -> Address | None:
        """Give what an address shows, if it was shown before."""
        at = (scope["raw_path"], scope["query_string"])
        found = self._known.pop(at, None)
        if found is not None:
            # To the end, where those are that are wanted.
            self._known[at] = found
        return found


@final
class Recalled:
    """Answers who has not logged in from the cache of the process, and passes on all else."""

    def __init__(self, app: ASGIApp, cache: Cache, addresses: Addresses) -> None:
        """Stand where it is known who asks, and that they may ask once more."""
        self._app = app
        self._cache = cache
        self._addresses = addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not await self._answer(scope, send):
            await self._app(scope, receive, send)

    async def _answer(self, scope: HTTPScope, send: Send) -> bool:
        is_anybody = scope["user"].kind is PrincipalKind.ANONYMOUS and scope["auth"] is None
        if scope["method"] != "GET" or not is_anybody:
            return False
        address = self._addresses.find(scope)
        page = None if address is None else self._cache.peek(address.of.kind, address.key)
        if address is None or page is None:
            return False
        try:
            known = _is_known(scope, page.etag)
        except InvalidRequest:
            return False
        cast("dict[str, Any]", scope)["path_template"] = address.template
        body = b"" if known else page.body
        await send(
            {
                "type": "http.response.start",
                "status": HTTPStatus.NOT_MODIFIED if known else HTTPStatus.OK,
                "headers": _headers(address.of, page, known=known),
            }
        )
        await send({"type": "http.response.body", "body": body, "more_body": False})
        return True


def headers(of: Pages, page: Page) -> dict[str, str]:
    """Tell caches between us and who asks what they may do with a page."""
    return {"ETag": page.etag, "Cache-Control": of.control, "Vary": VARY, **page.headers}


def _headers(of: Pages, page: Page, *, known: bool) -> list[Header]:
    own = written(headers(of, page))
    if not known:
        own += [
            (b"content-type", JSON.encode()),
            (b"content-length", str(len(page.body)).encode()),
        ]
    return own


def _is_known(scope: HTTPScope, tag: str) -> bool:
    """Tell whether If-None-Match names a tag; raises InvalidRequest for another word."""
    given = [
        value.decode("latin-1") for name, value in scope["headers"] if name == b"if-none-match"
    ]
    return bool(given) and names(", ".join(given), tag)
