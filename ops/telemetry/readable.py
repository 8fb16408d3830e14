"""Logs for people: one line per record on a terminal, in colour unless NO_COLOR is set."""

import logging
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TextIO, final

# Whatever steers a terminal, or looks like another line.
_STEERS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_STEERS_IN_TEXT = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")

_DIM, _END = "\x1b[2m", "\x1b[0m"
_COLOURS = {"debug": _DIM, "warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[1;31m"}


def is_wanted(form: str, stream: TextIO) -> bool:
    """Tell whether people read the stream; `form` is LOG_FORMAT."""
    return form == "text" or (form == "auto" and stream.isatty())


def may_colour(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether the stream shows colours, and its reader wants them (https://no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


@final
class Readable(logging.Formatter):
    """Renders a record: time, level, logger, what happened, and the fields after it."""

    def __init__(
        self, fields: Callable[[logging.LogRecord], Mapping[str, object]], *, colours: bool
    ) -> None:
        super().__init__()
        self._fields = fields
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        level = record.levelname.lower()
        said = _escaped(_STEERS, record.getMessage())
        fields = " ".join(f"{name}={value}" for name, value in self._fields(record).items())
        told = self._painted(_DIM, _escaped(_STEERS, fields)) if fields else ""
        shown = self._painted(_COLOURS.get(level, ""), f"{level:<8}{said}")
        line = f"{self._painted(_DIM, time)} {shown}  {self._painted(_DIM, record.name)} {told}"
        if not record.exc_info:
            return line.rstrip()
        return (
            f"{line.rstrip()}\n{_escaped(_STEERS_IN_TEXT, self.formatException(record.exc_info))}"
        )

    def _painted(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_END}" if self._colours and colour else text


def _escaped(unsafe: re.Pattern[str], text: str) -> str:
    return unsafe.sub(lambda char: f"\\u{ord(char[0]):04x}", text)
