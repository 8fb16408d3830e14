"""Errors of the dashboard: the same problems as those of the API, as pages for people."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from litestar import Request, Response

from api.errors import Handler
from api.problems import Problem
from api.staff_login import LOGIN, LOGOUT
from ops.dashboard import render
from ops.dashboard.routes import HEADERS, LIVE, PREFIX, html

_Request = Request[Any, Any, Any]
# What is said about the body of a problem does not hold of a page.
_OF_THE_BODY = frozenset({"content-type", "content-length", "www-authenticate"})


def as_pages(
    handlers: Mapping[int | type[Exception], Handler],
) -> dict[int | type[Exception], Handler]:
    """Have errors under /ops answered by pages, and by the login to who is not logged in."""
    return {raised: _wrapped(handler) for raised, handler in handlers.items()}


def _wrapped(handler: Handler) -> Handler:
    def answered(request: _Request, error: Any) -> Response[Any]:  # noqa: ANN401 - any that is raised
        answer = handler(request, error)
        path = request.scope["path"]
        is_page = path == PREFIX or path.startswith(f"{PREFIX}/")
        # A script reads the stream: it needs to know, and nobody to be shown, a page.
        return _page(request, answer) if is_page and path != LIVE else answer

    return answered


def _page(request: _Request, answer: Response[Any]) -> Response[Any]:
    if answer.status_code == HTTPStatus.UNAUTHORIZED and request.scope["path"] != LOGIN:
        return _to_login(request)
    told = msgspec.json.decode(answer.content, type=Problem)
    page = html(render.page("error.html", {"problem": told}), told.status)
    for name, value in answer.headers.items():
        if name.lower() not in _OF_THE_BODY:
            page.headers.setdefault(name, value)
    return page


def _to_login(request: _Request) -> Response[Any]:
    path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
    if request.method != "GET" or path == LOGOUT:
        path, query = PREFIX, ""
    asked = quote(path) + (f"?{query}" if query else "")
    if request.headers.get("sec-fetch-site") == "cross-site":
        # The cookie does not come along with a link on another site, only from our own page.
        return html(render.page("again.html", {"address": asked}))
    headers = {**HEADERS, "Location": f"{LOGIN}?{urlencode({'next': asked})}"}
    return Response(None, status_code=HTTPStatus.SEE_OTHER, headers=headers)
