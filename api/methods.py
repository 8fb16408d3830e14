"""The methods a path takes: its handlers' own, HEAD where there is GET, and OPTIONS."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, cast

from litestar import Request, Response
from litestar.routes import HTTPRoute
from litestar.types import HTTPScope


def as_routed(scope: HTTPScope) -> HTTPScope:
    """Let HEAD be answered as GET is (RFC 9110 §9.3.2).

    It is a copy, because from its own the server knows to keep the body to itself.
    """
    return cast("HTTPScope", {**scope, "method": "GET"}) if scope["method"] == "HEAD" else scope


def allowed(methods: Iterable[str]) -> str:
    """Allow header of a path whose handlers take these methods."""
    named = set(methods)
    return ", ".join(sorted(named | {"HEAD"} if "GET" in named else named))


def answer_options(request: Request[Any, Any, Any]) -> Response[None] | None:
    """Answer OPTIONS; Litestar's own answer leaves out all but a path's first handler."""
    if request.method != "OPTIONS":
        return None
    asked = request.scope["path_template"]
    methods = {
        method
        for route in request.app.routes
        if isinstance(route, HTTPRoute) and route.path_format == asked
        for method in route.methods
    }
    return Response(None, status_code=HTTPStatus.NO_CONTENT, headers={"Allow": allowed(methods)})
