"""The trace of an order is whole: from the request through every stage to gateway and mail."""

import asyncio
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import httpx
import pytest
from litestar import Litestar
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from db.engine import Database
from ops.config import Settings
from ops.telemetry import trace, tracing
from tests.builders import an_order_body, put_products
from tests.stages import run_stages
from tests.web import served

TRACE, ROOT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{ROOT}-01", f"00-{'a' * 32}-{ROOT}-00"


class Collector(ThreadingHTTPServer):
    """An OTLP receiver over HTTP, which keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.received: list[ExportTraceServiceRequest] = []

    def spans(self) -> list[Span]:
        return [
            span
            for request in self.received
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def of(self, trace_id: str) -> list[Span]:
        return [span for span in self.spans() if span.trace_id.hex() == trace_id]


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces"
        cast("Collector", self.server).received.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is its own
        """Say nothing."""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Generator[Collector]:
    """A collector to which this process sends its spans."""
    with Collector() as server:
        endpoint = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tracing.configure("test", Settings(revision="abc123"))
        yield server
        trace.close()
        server.shutdown()


def _attributes(span: Span) -> dict[str, str | int]:
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


async def _live(
    app: Litestar, database: Database, settings: Settings, *traceparents: str
) -> list[str]:
    """Have an order of each trace placed at the same time, paid and told of."""
    await put_products(database, APPLE=10)
    async with served(app) as client:

        async def place(number: int, traceparent: str) -> httpx.Response:
            headers = {"Idempotency-Key": f"k{number}", "traceparent": traceparent}
            body = an_order_body(("APPLE", 1))
            return await client.post("/v1/orders", json=body, headers=headers)

        placed = await asyncio.gather(*(place(n, t) for n, t in enumerate(traceparents)))
        await run_stages(database, settings)
    trace.close()
    return [answer.json()["id"] for answer in placed]


async def test_trace_of_an_order_goes_from_request_to_gateway_and_mail(
    app: Litestar, database: Database, settings: Settings, collector: Collector
) -> None:
    [order_id] = await _live(app, database, settings, SAMPLED)

    spans = {span.name: span for span in collector.of(TRACE)}
    assert set(spans) == {
        "POST /v1/orders",
        "accept",
        "reserve",
        *("prepare payments", "charge", "gateway call", "record payments"),
        *("prepare notifications", "notify", "mail", "record notifications"),
    }
    request = spans["POST /v1/orders"]
    assert request.parent_span_id.hex() == ROOT
    calls = {"gateway call": "charge", "mail": "notify"}
    parents = {
        name: spans[calls.get(name, "POST /v1/orders")] for name in set(spans) - {request.name}
    }
    assert {n: spans[n].parent_span_id for n in parents} == {
        n: parent.span_id for n, parent in parents.items()
    }
    assert _attributes(request)["http.response.status_code"] == 202
    assert _attributes(spans["charge"])["orderflow.order.id"] == order_id
    assert _attributes(spans["gateway call"]) == {
        "gateway": "instant",
        "operation": "charge",
        "outcome": "succeeded",
    }
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in spans.values())


async def test_group_is_one_span_linked_with_one_in_the_trace_of_each_member(
    app: Litestar, database: Database, settings: Settings, collector: Collector
) -> None:
    other = f"00-{'b' * 32}-{ROOT}-01"

    await _live(app, database, settings, SAMPLED, other, UNSAMPLED)

    [group] = [span for span in collector.spans() if span.name == "reserve group"]
    members = [s for t in (TRACE, "b" * 32) for s in collector.of(t) if s.name == "reserve"]
    assert len(members) == 2
    assert {link.trace_id.hex() for link in group.links} == {TRACE, "b" * 32}
    assert {(k.trace_id, k.span_id) for span in members for k in span.links} == {
        (group.trace_id, group.span_id)
    }
    assert collector.of("a" * 32) == []


async def test_what_nobody_decided_on_is_sampled_as_the_variables_say(
    app: Litestar,
    database: Database,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    collector: Collector,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_on")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    trace.close()
    tracing.configure("test", settings)

    await _live(app, database, settings, "none")

    [charge] = [span for span in collector.spans() if span.name == "charge"]
    assert "POST /v1/orders" in {span.name for span in collector.of(charge.trace_id.hex())}
    resource = collector.received[0].resource_spans[0].resource
    assert {p.key: p.value.string_value for p in resource.attributes}["service.name"] == "shop"


async def test_failure_is_told_by_its_kind_and_not_its_words(collector: Collector) -> None:
    with (
        pytest.raises(LookupError),
        trace.following(SAMPLED, "work"),
        trace.span("part", attributes={"number": 1}),
    ):
        raise LookupError("ann@example.com")
    trace.close()

    part, work = collector.of(TRACE)
    assert (part.name, part.parent_span_id) == ("part", work.span_id)
    assert part.status.code == Status.STATUS_CODE_ERROR
    assert _attributes(part) == {"number": 1, "error.type": "LookupError"}
    assert "ann@example.com" not in str(collector.received)


async def test_probes_have_no_trace(
    app: Litestar, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
    trace.close()
    tracing.configure("test", Settings())

    async with served(app) as client:
        await client.get("/health/live")
        await client.get("/nowhere/ann@example.com")
    trace.close()

    assert [span.name for span in collector.spans()] == ["GET unmatched"]
