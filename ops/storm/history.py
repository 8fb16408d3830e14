"""What the clients of a storm asked for and what they were told, kept in a file as it happens."""

import time
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

import msgspec


class Outcome(StrEnum):
    OK = "ok"  # a 2xx: from then on it must be so
    REFUSED = "refused"  # a definite no: nothing of it may be left
    UNKNOWN = "unknown"  # no definite answer before the client gave up: both may be


class Op(StrEnum):
    PLACE = "place"
    REPLAY = "replay"  # the same request under the same key, after it was answered
    REUSE = "reuse"  # another order under the same key
    KEYLESS = "keyless"
    READ = "read"
    PEEK = "peek"  # at the order of somebody else
    CANCEL = "cancel"
    CAPTURE = "capture"
    REFUND = "refund"
    VOID = "void"
    METHOD = "method"
    WRITE = "write"  # to anything but an order's money


# Staff's requests that move an order's money.
MOVING = frozenset({Op.CAPTURE, Op.REFUND, Op.VOID})


class Try(msgspec.Struct, frozen=True):
    """One request and its answer; status 0 if none came."""

    status: int
    code: str = ""  # of a problem
    problem: bool = False  # it is application/problem+json


class Asked(msgspec.Struct, frozen=True):
    """An operation as its client wanted it; `sent` is the body if that says it in another way."""

    op: Op
    method: str
    path: str
    key: str = ""
    order: str = ""
    content: Any = None
    staff: bool = False
    sent: Any = None


class Entry(msgspec.Struct, frozen=True):
    """An operation with its outcome; `invoked_s` and `ended_s` are since the storm began."""

    n: int
    asked: Asked
    outcome: Outcome
    tries: Sequence[Try]
    invoked_s: float
    ended_s: float
    body: str = ""
    replayed: bool = False

    @property
    def last(self) -> Try:
        """The try that decided, or the last one before the client gave up."""
        return self.tries[-1] if self.tries else Try(0)

    def told(self, field: str) -> Any:  # noqa: ANN401 - a field of JSON
        """Read a field of the answer."""
        return msgspec.json.decode(self.body)[field]


class _Invoked(msgspec.Struct, frozen=True, tag="invoked"):
    n: int
    at_s: float
    asked: Asked


class _Ended(Entry, frozen=True, tag="ended"):
    pass


class History:
    """Every operation: one line when it begins, which outlives us, and one when it has ended."""

    def __init__(self, file: BinaryIO) -> None:
        self.entries: list[Entry] = []
        self.began_at = time.time()
        self._file = file
        self._began = time.monotonic()
        self._next = 1

    def now_s(self) -> float:
        """Tell the time since the storm began."""
        return time.monotonic() - self._began

    def invoke(self, asked: Asked) -> tuple[int, float]:
        """Note that an operation begins; returns its number and when that was."""
        n, at_s = self._next, self.now_s()
        self._next += 1
        self._write(_Invoked(n, round(at_s, 4), asked))
        return n, at_s

    def end(self, entry: Entry) -> None:
        """Note what an operation came to."""
        self.entries.append(entry)
        self._write(_Ended(**msgspec.structs.asdict(entry)))

    def _write(self, line: _Invoked | _Ended) -> None:
        self._file.write(msgspec.json.encode(line) + b"\n")


def entries(path: Path) -> Iterator[Entry]:
    """Read the operations that ended out of a history's file."""
    decoder = msgspec.json.Decoder(_Invoked | _Ended)
    with path.open("rb") as file:
        for line in file:
            if isinstance(found := decoder.decode(line), _Ended):
                yield Entry(**msgspec.structs.asdict(found))
