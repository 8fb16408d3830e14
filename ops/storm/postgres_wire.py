"""What passes between a client and Postgres: messages, and commits that are cut at the instant."""

import struct
from collections.abc import Callable
from enum import StrEnum

from ops.storm.proxy import Passage

# Requests for encryption, which come before the start-up message and look like it.
_ENCRYPTION = frozenset({80877103, 80877104})
_LENGTH_BYTES = 4
_QUERY, _PARSE = b"Q", b"P"
_COMPLETE, _READY = b"C", b"Z"


class When(StrEnum):
    BEFORE = "before"  # the COMMIT never reaches the server, which rolls back
    AFTER = "after"  # it is applied, and the client never hears of it


class Messages:
    """Cuts one direction of a connection into whole messages."""

    def __init__(self, *, from_start: bool) -> None:
        """With `from_start` the first message is a client's first, which has no type."""
        self._rest = bytearray()
        self._untyped = from_start

    def take(self, chunk: bytes) -> list[bytes]:
        """Add what came; returns the messages that are whole now, in order."""
        self._rest += chunk
        whole: list[bytes] = []
        while (length := self._length()) and len(self._rest) >= length:
            message = bytes(self._rest[:length])
            del self._rest[:length]
            if self._untyped:
                (code,) = struct.unpack_from("!i", message, _LENGTH_BYTES)
                self._untyped = code in _ENCRYPTION
            whole.append(message)
        return whole

    def _length(self) -> int:
        head = 0 if self._untyped else 1
        if len(self._rest) < head + _LENGTH_BYTES:
            return 0
        (length,) = struct.unpack_from("!i", self._rest, head)
        return head + int(length)


def is_commit(message: bytes) -> bool:
    """Tell whether a client's message asks for a commit, as a query or as a statement to parse."""
    kind, body = message[:1], message[1 + _LENGTH_BYTES :]
    if kind == _PARSE:
        _, _, body = body.partition(b"\0")
    elif kind != _QUERY:
        return False
    query, _, _ = body.partition(b"\0")
    return query.strip(b" ;").upper() == b"COMMIT"


def is_committed(message: bytes) -> bool:
    """Tell whether a server's message says that a commit was applied."""
    return message[:1] == _COMPLETE and message[1 + _LENGTH_BYTES :] == b"COMMIT\0"


class CommitCuts:
    """Which commits are cut, for all links of a proxy; none while `dice` is unset."""

    def __init__(self) -> None:
        self.when = When.BEFORE
        self.dice: Callable[[], bool] | None = None
        self.struck = 0

    def strikes(self) -> bool:
        """Throw the dice for one commit."""
        struck = self.dice is not None and self.dice()
        self.struck += struck
        return struck


class PostgresEar:
    """Follows one link, and cuts it at a commit if the dice say so."""

    def __init__(self, cuts: CommitCuts) -> None:
        self._cuts = cuts
        self._questions = Messages(from_start=True)
        # Set while the reply to a doomed commit is awaited: what came of it so far is held back.
        self._reply: Messages | None = None
        self._held = b""

    def asked(self, chunk: bytes) -> Passage:
        onward: list[bytes] = []
        for message in self._questions.take(chunk):
            if is_commit(message) and self._cuts.strikes():
                if self._cuts.when is When.BEFORE:
                    return Passage(b"".join(onward), cut=True)
                self._reply, self._held = Messages(from_start=False), b""
            onward.append(message)
        return Passage(b"".join(onward))

    def answered(self, chunk: bytes) -> Passage:
        if self._reply is None:
            return Passage(chunk)
        self._held += chunk
        for message in self._reply.take(chunk):
            if is_committed(message):
                return Passage(b"", cut=True)
            if message[:1] == _READY:
                # It was rolled back after all: that is no commit whose reply could be lost.
                self._reply = None
                return Passage(self._held)
        return Passage(b"")
