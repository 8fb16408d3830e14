"""The edge: what every request gets, matched by a route or not: ids, headers, a log line."""

import logging
import os
import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from http import HTTPStatus
from time import perf_counter
from typing import cast, final

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from prometheus_client import Counter, Histogram

from api.answers import added_headers, refuse
from api.headers import DEFAULTS, OVER_TLS
from api.methods import as_routed
from api.problems import problem
from api.proxies import NO_PROXIES, Proxies
from ops.telemetry import logs, metrics, trace

_access = logging.getLogger("access")
_logger = logging.getLogger(__name__)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
# A method is the client's word: each other one would be a time series of its own.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLIENT_CLOSED_REQUEST = 499
# Of these an answer may have several.
_LISTS = frozenset({b"link", b"vary"})


@final
class Edge:
    """Wraps the ASGI handler of the application, outside of its routing.

    Litestar's middleware is not run for 404 and 405, so `app.asgi_handler` is wrapped itself.
    """

    def __init__(
        self, app: ASGIApp, *, quiet: Collection[str] = (), proxies: Proxies = NO_PROXIES
    ) -> None:
        """Log requests to the path templates in `quiet`, e.g. probes, at debug only."""
        self._app = app
        self._proxies = proxies
        self._quiet = frozenset(quiet)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._proxies.resolve(scope)
        request_id, traceparent = _given(scope)
        # Its route is not known yet; of probes there would be a trace every few seconds.
        name = None if scope["path"] in self._quiet else _known(str(scope["method"]))
        with (
            logs.bound(request_id=request_id),
            trace.following(traceparent, name, kind=trace.Kind.SERVER) as span,
        ):
            await self._serve(_Exchange(scope, send, request_id), receive, span)

    async def _serve(self, exchange: "_Exchange", receive: Receive, span: trace.Span) -> None:
        started = perf_counter()
        try:
            await self._app(exchange.scope, receive, exchange.send)
        except Exception:
            _logger.exception("request failed")
            await exchange.fail()
        finally:
            self._record(exchange, perf_counter() - started, span)

    def _record(self, exchange: "_Exchange", seconds: float, span: trace.Span) -> None:
        scope = cast("Mapping[str, object]", exchange.scope)
        route = str(scope.get("path_template") or "unmatched")
        method = _known(exchange.method)
        status = exchange.status or _CLIENT_CLOSED_REQUEST
        count, timer = _meters(method, route, status)
        count.inc()
        timer.observe(seconds)
        span.rename(f"{method} {route}")
        span.set(
            {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
            }
        )
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            span.fail(str(status))
        level = logging.DEBUG if route in self._quiet else logging.INFO
        fields = {"method": method, "route": route, "status": status}
        params = cast("Mapping[str, object]", scope.get("path_params") or {})
        ids = {"order_id": params["order_id"]} if "order_id" in params else {}
        _tell(level, {**fields, **ids, "duration_ms": round(seconds * 1000, 3)})


def _known(method: str) -> str:
    return method if method in _METHODS else "other"


@cache
def _meters(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Find the time series, of which there are few; Prometheus would look them up each time."""
    timer = metrics.http_request_duration.labels(method, route)
    return metrics.http_requests.labels(method, route, status), timer


def _tell(level: int, fields: Mapping[str, object]) -> None:
    """Log an answered request.

    Not by log(): to look for its caller, which is always here, takes longer than to write it.
    """
    if _access.isEnabledFor(level):
        extra = {"fields": fields}
        _access.handle(
            _access.makeRecord("access", level, __file__, 0, "request", (), None, extra=extra)
        )


@final
class _Exchange:
    """One request and what became of it; 0 stands for no answer yet."""

    __slots__ = ("_defaults", "_request_id", "_send", "method", "scope", "status")

    def __init__(self, scope: HTTPScope, send: Send, request_id: str) -> None:
        self.method = str(scope["method"])
        self.scope = as_routed(scope)
        self.status = 0
        self._defaults = OVER_TLS if scope["scheme"] == "https" else DEFAULTS
        self._send = send
        self._request_id = request_id.encode()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = self._completed(message.get("headers", ()))
        await self._send(message)

    def _completed(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        completed = [*headers, (b"x-request-id", self._request_id)]
        given = {name.lower() for name, _ in completed}
        added = added_headers(self.scope)
        completed.extend(
            item for item in (*self._defaults, *added) if item[0] not in given or item[0] in _LISTS
        )
        return completed

    async def fail(self) -> None:
        """Answer what nothing else answered; after a first byte only hanging up is left."""
        if not self.status:
            await refuse(self.send, problem("internal_error"))


def _given(scope: HTTPScope) -> tuple[str, str | None]:
    """Read the request id, made up unless it is harmless, and the traceparent."""
    request_id, traceparents = None, list[bytes]()
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            request_id = value.decode()
        elif name == b"traceparent":
            traceparents.append(value)
    # Two of them contradict each other, so neither counts.
    traceparent = traceparents[0].decode("latin-1") if len(traceparents) == 1 else None
    return request_id or os.urandom(16).hex(), traceparent
