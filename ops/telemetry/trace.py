"""The W3C trace context of what is being done: taken in, made up if absent, handed on.

Spans are recorded if somebody does: `ops.telemetry.otlp`, where OTEL_* variables ask for it. Else
they cost as much as asking whether there is a recorder.
"""

import os
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from enum import StrEnum
from typing import Protocol

# https://www.w3.org/TR/trace-context/#traceparent-header; later versions may only append.
_TRACEPARENT = re.compile(
    r"""(?!ff)(?P<version>[0-9a-f]{2})
        -(?!0{32})(?P<trace>[0-9a-f]{32})
        -(?!0{16})[0-9a-f]{16}
        -(?P<flags>[0-9a-f]{2})
        (?P<rest>-.*)?""",
    re.VERBOSE,
)
# Nothing here samples; whoever does so decides at the root and says it in this byte.
_NOT_SAMPLED = "00"

Attributes = Mapping[str, str | int]
NO_ATTRIBUTES: Attributes = {}


class Kind(StrEnum):
    """What a span is to others, as OpenTelemetry names it."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    CONSUMER = "consumer"


class Span(Protocol):
    """A piece of work in a trace, which may learn about itself until it ends."""

    def rename(self, name: str) -> None: ...

    def set(self, attributes: Attributes) -> None: ...

    def fail(self, kind: str) -> None:
        """Take note that it failed, by the kind of failure: messages may be of people."""
        ...


class Recorded(Span, Protocol):
    """A span that somebody records."""

    @property
    def traceparent(self) -> str: ...

    def end(self) -> None: ...


class Recorder(Protocol):
    def start(
        self, name: str, kind: Kind, parent: str | None, attributes: Attributes
    ) -> Recorded: ...

    def group(
        self, name: str, seconds: float, members: Sequence[tuple[str, Attributes]]
    ) -> None: ...

    def close(self) -> None: ...


class _Unrecorded:
    def rename(self, name: str) -> None: ...

    def set(self, attributes: Attributes) -> None: ...

    def fail(self, kind: str) -> None: ...


class Recording:
    """Who records the spans of this process; nobody unless it is configured."""

    by: Recorder | None = None


_UNRECORDED: Span = _Unrecorded()
_NOTHING = nullcontext(_UNRECORDED)

_current: ContextVar[str | None] = ContextVar("traceparent", default=None)


def child(parent: str | None) -> str:
    """Traceparent of a new span: of the parent's trace if it is valid, else of a fresh one."""
    span = os.urandom(8).hex()
    given = _TRACEPARENT.fullmatch(parent) if parent else None
    if given is None or (given["version"] == "00" and given["rest"]):
        return f"00-{os.urandom(16).hex()}-{span}-{_NOT_SAMPLED}"
    return f"00-{given['trace']}-{span}-{given['flags']}"


def current() -> str:
    """Traceparent to hand on with a call or a task; a fresh one if there is none yet."""
    traceparent = _current.get()
    if traceparent is None:
        traceparent = child(None)
        _ = _current.set(traceparent)
    return traceparent


def given() -> str | None:
    """Traceparent of the request or task at hand, if there is one."""
    return _current.get()


def trace_id() -> str | None:
    """Id of the current trace, if there is one."""
    traceparent = _current.get()
    return id_of(traceparent) if traceparent else None


def id_of(traceparent: str) -> str:
    """Take the id of the trace out of a traceparent of ours."""
    return traceparent[3:35]


def is_recorded() -> bool:
    """Tell whether spans are recorded at all, so that attributes are worth their making."""
    return Recording.by is not None


def is_sampled(traceparent: str | None) -> bool:
    """Tell whether whoever began the trace has it recorded."""
    given = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return given is not None and bool(int(given["flags"], 16) & 1)


@contextmanager
def following(
    parent: str | None,
    name: str | None = None,
    *,
    kind: Kind = Kind.INTERNAL,
    attributes: Attributes = NO_ATTRIBUTES,
) -> Generator[Span]:
    """Work on behalf of a request or task that carried this traceparent.

    It is recorded as a span if it has a name, and if spans are recorded at all.
    """
    recorder = Recording.by
    if recorder is None or name is None:
        token = _current.set(child(parent))
        try:
            yield _UNRECORDED
        finally:
            _current.reset(token)
        return
    span = recorder.start(name, kind, parent, attributes)
    token = _current.set(span.traceparent)
    try:
        yield span
    except BaseException as error:
        span.fail(type(error).__name__)
        raise
    finally:
        _current.reset(token)
        span.end()


def span(
    name: str, *, kind: Kind = Kind.INTERNAL, attributes: Attributes = NO_ATTRIBUTES
) -> AbstractContextManager[Span]:
    """Do a part of the work at hand."""
    if Recording.by is None:
        return _NOTHING
    return following(current(), name, kind=kind, attributes=attributes)


def tell_group(name: str, seconds: float, members: Sequence[tuple[str | None, Attributes]]) -> None:
    """Record what was just done for a group in `seconds`: once, and in the trace of each member.

    Members whose trace is not sampled are left out.
    """
    recorder = Recording.by
    if recorder is None:
        return
    sampled = [(parent, about) for parent, about in members if parent and is_sampled(parent)]
    if sampled:
        recorder.group(name, seconds, sampled)


def close() -> None:
    """Hand over what is recorded, and record no more; blocks for a moment."""
    recorder, Recording.by = Recording.by, None
    if recorder is not None:
        recorder.close()
