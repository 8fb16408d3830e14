"""A client's connection: heads of a size, at a pace, and an answer to what is no request."""

import asyncio
import os
import re
import sys
from enum import Enum, auto
from typing import ClassVar, cast

import msgspec
from httptools import HttpRequestParser
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from api.answers import written
from api.codes import KINDS
from api.headers import DEFAULTS
from api.problems import MEDIA_TYPE, problem
from api.proxies import Proxies
from api.room import Room
from ops.config import Settings
from ops.telemetry import metrics

# The longest tokens have some kilobytes; proxies in front of us take no more than this either.
HEAD_BYTES_MAX = 32_768
# Who takes no byte of an answer for so long is not reading it.
READ_TIMEOUT_S = 30.0
# Long enough for what was on its way when the answer was sent.
LINGER_S = 2.0
# A name or an address with or without a port (RFC 9110 §7.2); empty if the target has no host.
_HOST = re.compile(rb"(\[[\dA-Fa-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(:\d*)?", re.ASCII)


class _Awaited(Enum):
    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class Connection(HttpToolsProtocol):
    """Uvicorn's connection, which by itself waits for the rest of a request without end."""

    head_timeout_s: ClassVar[float] = 10.0
    body_timeout_s: ClassVar[float] = 30.0
    read_timeout_s: ClassVar[float] = READ_TIMEOUT_S
    # Of all connections of the class.
    room: ClassVar[Room] = Room(sys.maxsize, sys.maxsize)
    linger_s: ClassVar[float] = LINGER_S

    _awaited = _Awaited.HEAD
    _begun = 0  # requests
    _head_bytes = 0  # of a head that is not whole yet
    _chunk_bytes = 0
    _code = "invalid_request"
    _timed: tuple[_Awaited, int] | None = None  # what the timer is about
    _timer: asyncio.TimerHandle | None = None
    _reader_timer: asyncio.TimerHandle | None = None
    _lingers = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        if self.room.admit(self, self.client[0] if self.client else None):
            self._watch()
        else:
            self._tell("overloaded")
            transport.close()

    def data_received(self, data: bytes) -> None:
        if self._lingers:
            return
        begun, self._chunk_bytes = self._begun, len(data)
        super().data_received(data)
        if self._lingers:
            return
        # Of what comes after another request in the same bytes, the next bytes are counted.
        goes_on = self._awaited is _Awaited.HEAD and self._begun in {begun, 1}
        self._head_bytes = self._head_bytes + len(data) if goes_on else 0
        if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self._refuse("head_too_large")
        self._watch()

    def on_message_begin(self) -> None:
        self._begun += 1
        self._awaited = _Awaited.HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._awaited = _Awaited.BODY
        if self._head_bytes + self._chunk_bytes > HEAD_BYTES_MAX:
            self._measure_head()
        self._check_host()
        super().on_headers_complete()
        self.cycle.transport = cast("asyncio.Transport", _Ending(self))

    def on_message_complete(self) -> None:
        self._awaited = _Awaited.NOTHING
        self.room.heard(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._await_reader()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request; one that came whole before it gets its own answer first."""
        del msg
        cycle = self._unanswered()
        if cycle is not None and not cycle.more_body:
            cycle.keep_alive = False
        elif cycle is not None and cycle.response_started:
            self._hang_up()
        else:
            self._refuse(self._code)

    def timeout_keep_alive_handler(self) -> None:
        if not self.transport.is_closing():
            self._hang_up()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reader_timer = _cancelled(self._reader_timer)

    def shutdown(self) -> None:
        """End a stream, which has no end by itself; every other answer is given first."""
        cycle = self._unanswered()
        if cycle is not None and cycle.response_started and cycle.chunked_encoding:
            self._hang_up()
        else:
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer = _cancelled(self._timer)
        self._reader_timer = _cancelled(self._reader_timer)
        self.room.leave(self)
        super().connection_lost(exc)

    def is_silent(self) -> bool:
        """Tell whether there is no whole request to answer."""
        return self._awaited is _Awaited.BODY or self._unanswered() is None

    def make_way(self) -> None:
        """Hang up without a word, for somebody else."""
        self._hang_up()

    def _measure_head(self) -> None:
        """Have the parser stop if the head alone is too large."""
        headers_bytes = sum(len(name) + len(value) for name, value in self.headers)
        if len(self.url) > HEAD_BYTES_MAX:
            self._code = "uri_too_long"
        elif len(self.url) + headers_bytes > HEAD_BYTES_MAX:
            self._code = "head_too_large"
        else:
            return
        raise ValueError(self._code)

    def _check_host(self) -> None:
        """Have the parser stop unless a request names one host, as RFC 9112 §3.2 wants it.

        Of two a proxy in front may believe the other one; HTTP/1.0 may name none.
        """
        hosts = [value for name, value in self.headers if name == b"host"]
        parser = cast("HttpRequestParser", self.parser)  # None once the connection is lost
        may_lack = parser.get_http_version() == "1.0"
        if len(hosts) > 1 or not (hosts or may_lack) or not all(map(_HOST.fullmatch, hosts)):
            raise ValueError(self._code)

    def _watch(self) -> None:
        """Give what is awaited its time; nothing is done for a request that came at once."""
        about = (self._awaited, max(self._begun, 1))
        if self._lingers or self.transport.is_closing():
            return
        if self._awaited is _Awaited.NOTHING:
            self._timer = _cancelled(self._timer)
        elif self._timer is None or self._timed != about:
            _cancelled(self._timer)
            is_head = self._awaited is _Awaited.HEAD
            within_s = self.head_timeout_s if is_head else self.body_timeout_s
            self._timed = about
            self._timer = self.loop.call_later(within_s, self._expired)

    def _expired(self) -> None:
        self._timer = None
        if self.flow.read_paused:
            # It is we who are slow.
            self._watch()
        elif self._is_answerable():
            self._refuse("request_too_slow")
        else:
            self._hang_up()

    def _is_answerable(self) -> bool:
        """Tell whether a client that is slow has begun a request that nobody has answered yet."""
        if self._awaited is _Awaited.HEAD:
            return self._begun > 0 and self._unanswered() is None
        return not self.pipeline and not self.cycle.response_started

    def _unanswered(self) -> RequestResponseCycle | None:
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first request
        return None if cycle is None or cycle.response_complete else cycle

    def _refuse(self, code: str) -> None:
        """Answer in place of the application, which believes that the client is gone."""
        if (cycle := self._unanswered()) is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        self._tell(code)
        self.linger()

    def _tell(self, code: str) -> None:
        content = problem(code)
        metrics.http_requests.labels("other", "unmatched", content.status).inc()
        body = msgspec.json.encode(content)
        headers = (
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            (b"x-request-id", os.urandom(16).hex().encode()),
            *DEFAULTS,
            *written(KINDS[code].headers),
        )
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[content.status], lines, body))

    def end(self) -> None:
        """Close the connection after the last answer."""
        if self._awaited is _Awaited.BODY:
            self.linger()
        else:
            self.transport.close()

    def linger(self) -> None:
        """Let the client read the answer before the connection is closed.

        Were it closed on words that nobody has read, the kernel would take the answer back.
        """
        if not self._lingers and self.transport.can_write_eof():
            self._lingers = True
            self.flow.resume_reading()
            self.transport.write_eof()
            self._timer = _cancelled(self._timer)
            self._timer = self.loop.call_later(self.linger_s, self._hang_up)
        else:
            self._hang_up()

    def _hang_up(self) -> None:
        self.transport.close()
        self._await_reader()

    def _await_reader(self) -> None:
        """Cut the line of who does not take the rest of an answer."""
        if self._reader_timer is None and self.transport.get_write_buffer_size():
            self._reader_timer = self.loop.call_later(self.read_timeout_s, self.transport.abort)


class _Ending:
    """A transport as a cycle of uvicorn uses it; only its end is another one."""

    __slots__ = ("_connection", "is_closing", "write")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.is_closing = connection.transport.is_closing
        self.write = connection.transport.write

    def close(self) -> None:
        self._connection.end()


def _cancelled(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def patient(settings: Settings) -> type[Connection]:
    """Make connections of as much room and patience as the settings say."""

    class Patient(Connection):
        head_timeout_s = settings.head_timeout_s
        body_timeout_s = settings.body_timeout_s
        room = Room(
            settings.connections_max,
            settings.connections_per_address_max,
            proxies=Proxies(settings.trusted_proxies),
        )

    return Patient
