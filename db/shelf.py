"""The cache in a process: what was asked for most recently, bounded by its bytes."""

import msgspec

from db.snapshots import Snapshot
from ops.telemetry import metrics

# What an entry costs beside its value: key, tags, and itself in a dictionary.
ENTRY_BYTES = 600


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A value, its tags, and a snapshot from before it was read; `until` is monotonic."""

    value: object
    tags: tuple[str, ...]
    seen: Snapshot
    until: float
    size_bytes: int


class Shelf:
    """Entries by key, of which those go first that nobody has asked for longest."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._entries: dict[str, Entry] = {}
        self._bytes = 0

    def find(self, key: str) -> Entry | None:
        """Give an entry, whatever has become of it."""
        found = self._entries.pop(key, None)
        if found is not None:
            # To the end, where those are that are wanted.
            self._entries[key] = found
        return found

    def put(self, key: str, entry: Entry) -> bool:
        """Keep an entry unless a newer one is there; says whether it is kept."""
        before = self._entries.get(key)
        if before is not None and before.seen.place > entry.seen.place:
            return False
        self.drop(key)
        cost = entry.size_bytes + ENTRY_BYTES
        if cost > self._bytes_max:
            return False
        self._entries[key] = entry
        self._count(cost)
        while self._bytes > self._bytes_max:
            self.drop(next(iter(self._entries)))
        return True

    def drop(self, key: str) -> None:
        """Forget an entry."""
        gone = self._entries.pop(key, None)
        if gone is not None:
            self._count(-gone.size_bytes - ENTRY_BYTES)

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
        self._count(-self._bytes)

    def _count(self, change_bytes: int) -> None:
        self._bytes += change_bytes
        metrics.cache_bytes.inc(change_bytes)
