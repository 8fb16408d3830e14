"""A keep-alive HTTP/1.1 connection that reads no more of an answer than the bench needs."""

import asyncio
import re
import time
from collections.abc import Callable
from typing import cast

import msgspec

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STATUS = slice(len("HTTP/1.1 "), len("HTTP/1.1 202"))
_HEAD_ENDS = b"\r\n\r\n"


class Answer(msgspec.Struct, frozen=True):
    status: int
    head: bytes
    body: bytes
    # From handing the request to the kernel to reading the answer's last byte.
    latency_s: float


class Connection(asyncio.Protocol):
    """One request at a time; `hear` is told of its answer, or gets None if there will be none."""

    def __init__(self, hear: Callable[["Connection", Answer | None], None]) -> None:
        self._hear = hear
        self._received = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def send(self, request: bytes) -> None:
        """Send the next request; the one before has been answered."""
        if self._transport is None or self._transport.is_closing():
            self._hear(self, None)
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def close(self) -> None:
        """Hang up, of which `hear` is not told."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        received = self._received + data
        head, ended, body = received.partition(_HEAD_ENDS)
        length = _LENGTH.search(head)
        if not ended or (length and len(body) < int(length[1])):
            self._received = received
            return
        self._received = b""
        latency_s = time.perf_counter() - self._sent_at
        self._hear(self, Answer(int(head[_STATUS]), head, body, latency_s))

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._transport is not None:
            self._transport = None
            self._hear(self, None)
