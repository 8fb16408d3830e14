"""Public pages from the cache: bytes that are ready, with their ETag, or 304 to who has them."""

import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar, cast

import msgspec
from litestar import Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from api.conditional import is_known
from api.recall import JSON, Addresses, Page, Pages, headers
from db.cache import CATALOGUE_S, Cache, Kind, Read
from db.engine import reading
from domain.principal import Principal
from domain.refusal import NotFound

T = TypeVar("T")

_DIGEST_BYTES = 16

# A price may change at any time, and then has to be seen within a second by whoever asks, through
# whatever caches: these may keep an answer, and have to ask each time whether it still is one.
ASK_AGAIN = "public, no-cache"
# What changes seldom and costs nobody anything may be shown for as long as we ourselves show what
# nobody has told us of: five minutes.
MAY_LAG = "public, max-age=60, stale-while-revalidate=240"
# Even the same answer is kept by nobody else for who has logged in.
OF_ONE = "private, no-cache"


def pages(name: str, *, keep_s: float = CATALOGUE_S, control: str = ASK_AGAIN) -> Pages:
    """Make the pages of a route, by a name of their own.

    Whoever is not staff sees the same ones, that depend on nothing but path and query.
    """
    return Pages(Kind(name, Page, keep_s), control)


Reading = Callable[[AsyncConnection], Awaitable[Read[T]]]


async def show(
    request: Request[Any, Any, Any], of: Pages, key: str, read: Reading[T], *, absent: str = ""
) -> Response[T]:
    """Answer with what `read` gives as the public sees it, or has given since nothing changed.

    `key` has to name all that the answer depends on, in one spelling. Raises NotFound, with
    `absent`, for what is not there.
    """
    cache: Cache = request.app.state.cache
    page = await cache.get(of.kind, key, partial(_read, request, read))
    if page is None:
        raise NotFound(absent)
    addresses: Addresses = request.app.state.addresses
    addresses.note(cast("dict[str, Any]", request.scope), of, key)
    own = headers(of, page)
    if cast("Principal", request.scope["user"]).user_id is not None:
        own["Cache-Control"] = OF_ONE
    if is_known(request, page.etag):
        return Response(cast("T", None), status_code=HTTPStatus.NOT_MODIFIED, headers=own)
    return Response(cast("T", page.body), media_type=JSON, headers=own)


async def _read(request: Request[Any, Any, Any], read: Reading[Any]) -> Read[Page]:
    async with reading(request.app.state.database) as tx:
        found = await read(tx)
    if found.value is None:
        return Read(None, found.tags, found.fresh_s)
    body = msgspec.json.encode(found.value)
    return Read(Page(body, _tag(body), dict(found.headers)), found.tags, found.fresh_s)


def _tag(body: bytes) -> str:
    return f'"{hashlib.blake2b(body, digest_size=_DIGEST_BYTES).hexdigest()}"'
