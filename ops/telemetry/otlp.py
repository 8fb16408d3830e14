"""Spans by OpenTelemetry, sent to a collector over OTLP/HTTP; needs the extra `traces`.

Not by the instrumentations of opentelemetry-contrib: they pin each other's exact versions, know
neither SQLAlchemy 2.1 nor Dramatiq, and wrap every request; an order is a dozen spans of ours.
"""

import os
import threading
import time
from collections.abc import Sequence
from typing import final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import (
    Decision,
    ParentBasedTraceIdRatio,
    Sampler,
    SamplingResult,
)
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    StatusCode,
    TraceState,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes as OtelAttributes

from ops.config import VERSION
from ops.telemetry.trace import Attributes, Kind

# Of those that nobody else decided on; OTEL_TRACES_SAMPLER says otherwise.
SAMPLED_SHARE = 0.01
# A process that stops does not wait longer for a collector that is away.
CLOSE_WITHIN_S = 2.0

_KINDS = {
    Kind.INTERNAL: SpanKind.INTERNAL,
    Kind.SERVER: SpanKind.SERVER,
    Kind.CLIENT: SpanKind.CLIENT,
    Kind.CONSUMER: SpanKind.CONSUMER,
}
_PROPAGATOR = TraceContextTextMapPropagator()
_CARRIER = "traceparent"


@final
class _Groups(Sampler):
    """Samples a group if any of its members is sampled, and all else as another sampler does."""

    def __init__(self, others: Sampler) -> None:
        self._others = others

    def should_sample(  # noqa: PLR0913, PLR0917 - the SDK's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: OtelAttributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        if links and any(link.context.trace_flags.sampled for link in links):
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)
        return self._others.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        return f"Groups({self._others.get_description()})"


@final
class _Recorded:
    def __init__(self, span: Span) -> None:
        self._span = span
        self.traceparent = _traceparent(span)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def set(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def fail(self, kind: str) -> None:
        self._span.set_status(StatusCode.ERROR)
        self._span.set_attribute("error.type", kind)

    def end(self) -> None:
        self._span.end()


@final
class Otlp:
    """The recorder of one process; it sends from a thread of its own."""

    def __init__(self, process: str, *, revision: str) -> None:
        """Read the OTEL_* variables: where to send, whom to sample, what the service is called."""
        about = {"service.version": VERSION, "vcs.ref.head.revision": revision}
        if not os.environ.get("OTEL_SERVICE_NAME"):
            about["service.name"] = f"orderflow-{process}"
        given = "OTEL_TRACES_SAMPLER" in os.environ
        # The SDK reads the variable only where it is given no sampler, so its own is asked for it.
        asked = TracerProvider(
            sampler=None if given else ParentBasedTraceIdRatio(SAMPLED_SHARE),
            shutdown_on_exit=False,
        )
        self._provider = TracerProvider(
            sampler=_Groups(asked.sampler),
            resource=Resource.create(about),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("orderflow", VERSION)

    def start(self, name: str, kind: Kind, parent: str | None, attributes: Attributes) -> _Recorded:
        context = _context(parent) if parent else Context()
        return _Recorded(
            self._tracer.start_span(name, context, kind=_KINDS[kind], attributes=attributes)
        )

    def group(self, name: str, seconds: float, members: Sequence[tuple[str, Attributes]]) -> None:
        ended = time.time_ns()
        started = ended - int(seconds * 1e9)
        contexts = [_context(parent) for parent, _ in members]
        group = self._tracer.start_span(
            f"{name} group",
            Context(),
            attributes={"orderflow.group.size": len(members)},
            links=[Link(get_current_span(context).get_span_context()) for context in contexts],
            start_time=started,
        )
        back = [Link(group.get_span_context())]
        for context, (_, attributes) in zip(contexts, members, strict=True):
            self._tracer.start_span(
                name, context, attributes=attributes, links=back, start_time=started
            ).end(ended)
        group.end(ended)

    def close(self) -> None:
        """Send what is left, as far as that goes within CLOSE_WITHIN_S."""
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        sending.join(CLOSE_WITHIN_S)


def _context(traceparent: str) -> Context:
    return _PROPAGATOR.extract({_CARRIER: traceparent}, Context())


def _traceparent(span: Span) -> str:
    carrier = dict[str, str]()
    _PROPAGATOR.inject(carrier, set_span_in_context(span, Context()))
    return carrier[_CARRIER]
