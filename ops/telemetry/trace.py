"""The W3C trace context of what is being done: taken in, made up if absent, handed on."""

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

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


def trace_id() -> str | None:
    """Id of the current trace, if there is one."""
    traceparent = _current.get()
    return id_of(traceparent) if traceparent else None


def id_of(traceparent: str) -> str:
    """Take the id of the trace out of a traceparent of ours."""
    return traceparent[3:35]


@contextmanager
def following(parent: str | None) -> Generator[str]:
    """Work on behalf of a request or task that carried this traceparent."""
    token = _current.set(child(parent))
    try:
        yield current()
    finally:
        _current.reset(token)
