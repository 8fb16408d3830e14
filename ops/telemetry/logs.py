"""Logs: one line per record, with the ids of the request, order, task and trace at hand."""

import json
import logging
import re
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO, final

import msgspec

from ops.telemetry import metrics, readable, trace
from ops.telemetry.readable import Readable

# The encoder escapes C0; these too end a line or steer a terminal for some reader.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029]")
# Their own records say nothing the access log and the task log do not.
_QUIET = ("uvicorn.access", "asyncio", "stripe", "httpx", "httpcore")
_NO_FIELDS: Mapping[str, object] = {}

_bound: ContextVar[Mapping[str, object]] = ContextVar("log_fields", default=_NO_FIELDS)
_encoder = msgspec.json.Encoder(enc_hook=repr)


@contextmanager
def bound(**fields: object) -> Generator[None]:
    """Add fields, e.g. `order_id`, to every record made inside."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def bind(**fields: object) -> None:
    """Add fields to every further record of the request or task at hand."""
    _ = _bound.set({**_bound.get(), **fields})


def request_id() -> str | None:
    """Give the id of the request at hand, if there is one."""
    found = _bound.get().get("request_id")
    return found if isinstance(found, str) else None


@final
class JsonLines(logging.Formatter):
    """Renders a record, and what `extra={"fields": {...}}` adds to it, as one line of JSON."""

    def __init__(self, process: str) -> None:
        """Name the process type, e.g. `web`."""
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": self._process,
            "msg": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return encode(line)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Collect what is bound, what the record brings along, and the trace."""
    fields = {**_bound.get(), **getattr(record, "fields", _NO_FIELDS)}
    if "trace_id" not in fields and (trace_id := trace.trace_id()):
        fields["trace_id"] = trace_id
    return fields


class _Counted(logging.StreamHandler[TextIO]):
    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            metrics.log_records.labels(record.levelname.lower()).inc()
        super().emit(record)


def encode(line: Mapping[str, object]) -> str:
    """Encode as JSON on one line, whatever the text holds."""
    try:
        text = _encoder.encode(line).decode()
    except UnicodeEncodeError:
        # A lone surrogate, e.g. of a file name that is not UTF-8, must not cost the record.
        text = json.dumps(msgspec.to_builtins(line, enc_hook=repr))
    return text if text.isascii() else _UNSAFE.sub(_escaped, text)


def _escaped(char: re.Match[str]) -> str:
    return f"\\u{ord(char[0]):04x}"


def configure(
    process: str, level: str = "info", stream: TextIO | None = None, *, form: str = "auto"
) -> None:
    """Send every record of this process to one stream; call once, at its start.

    `form` is LOG_FORMAT: json, text, or auto, which is text on a terminal alone.
    """
    out = stream or sys.stdout
    handler = _Counted(out)
    if readable.is_wanted(form, out):
        handler.setFormatter(Readable(fields_of, colours=readable.may_colour(out)))
    else:
        handler.setFormatter(JsonLines(process))
    # Nobody reads these fields of a record, and finding them costs a third of its making.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in ("uvicorn", "uvicorn.error"):
        # Uvicorn hangs up handlers of its own before it imports the application.
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
