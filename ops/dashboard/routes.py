"""The routes of the dashboard: every page, the stream of what lives on them, and static files."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from domain.principal import Principal
from domain.refusal import NotFound
from ops.dashboard import render
from ops.dashboard.page import Page, find
from ops.dashboard.pages import PAGES
from ops.dashboard.site import Site

PREFIX = "/ops"
LIVE = "/ops/live"

# With `same-origin` a form's POST names its origin, which `no-referrer` would hide.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",
}
_TYPES = {"ops.css": "text/css", "ops.js": "text/javascript", "icon.svg": "image/svg+xml"}
# The address names the content, so it never has another one.
_FOR_GOOD = "public, max-age=31536000, immutable"
_STREAMED = {
    "Content-Type": "text/event-stream; charset=utf-8",
    # Nginx would keep it until it has some kilobytes.
    "X-Accel-Buffering": "no",
}

# `api.query` leaves the query to the page, which refuses what it does not know.
_OWN_QUERY = {"own_query": True}

_Asked = Request[Principal, Any, Any]


def html(text: str, status: int = 200) -> Response[str]:
    """Answer with a page."""
    return Response(text, status_code=status, media_type="text/html", headers=HEADERS)


def _route(page: Page) -> HTTPRouteHandler:
    async def show(request: _Asked) -> Response[str]:
        site: Site = request.app.state.site
        # The application has refused what is not ASCII.
        query = request.scope["query_string"].decode("ascii")
        return html(await site.page(request.user, request.scope["path"], query))

    return get(page.path, include_in_schema=False, opt=_OWN_QUERY)(show)


@get(LIVE, include_in_schema=False)
async def watch(request: _Asked, page: FromQuery[str], since: FromQuery[str] = "") -> Stream:
    """Stream what changes on a page (HTML, "Server-sent events"), as long as one may see it.

    An EventSource that begins anew cannot send Last-Event-ID, so `since` stands for it.
    """
    site: Site = request.app.state.site
    address = urlsplit(page)
    found = find(site.pages, address.path)
    found.read(address.path, address.query)
    site.demand(found.operation, request.user)
    site.live.reserve()
    events = site.live.stream(
        (address.path, address.query, str(request.user.role)),
        partial(site.fragments, request.user, address.path, address.query),
        last_id=request.headers.get("last-event-id", since),
        still_there=partial(site.door.is_still, request.scope),
    )
    return Stream(events, headers=_STREAMED)


@get("/ops/static/{name:str}", include_in_schema=False, sync_to_thread=False)
def get_static(request: _Asked, name: FromPath[str], v: FromQuery[str] = "") -> Response[bytes]:
    """Serve what pages are drawn with; `v` names the content in the address."""
    del v
    if name not in _TYPES:
        raise NotFound("There is no such file.")
    tag = f'"{render.version(name)}"'
    headers = {"ETag": tag, "Cache-Control": _FOR_GOOD}
    if tag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers)
    return Response((render.STATIC / name).read_bytes(), media_type=_TYPES[name], headers=headers)


routes = (*map(_route, PAGES), watch, get_static)
