"""One merchant's account at the gateway: the ledger on disk, the books read from it, the events."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from ops.sandbox import decisions, events
from ops.sandbox.books import Books, Shelf
from ops.sandbox.entries import Entry, decoder
from ops.sandbox.events import Event
from ops.sandbox.journal import Journal, JournalUnusable
from ops.sandbox.ledger import FILE
from ops.sandbox.standing import Standing


class Account:
    """What was executed, and what happens by itself; every change is a line of the ledger."""

    def __init__(self, folder: Path) -> None:
        """Open the ledger and read it whole. Raises JournalUnusable if it cannot be."""
        self.journal = Journal(folder / FILE)
        self.books = Books()
        self.events = Shelf[Event]("event")
        self.told: Callable[[Event], None] = lambda _: None
        self._alarm: asyncio.TimerHandle | None = None
        for number, (_, line) in enumerate(self.journal.lines(), start=1):
            try:
                self._enter(decoder.decode(line))
            except msgspec.DecodeError as error:
                raise JournalUnusable(
                    f"{self.journal.path}, line {number}: {error}. Move it away to start anew."
                ) from error

    def record(self, entry: Entry) -> Standing:
        """Write an entry to the ledger; it is on disk after `journal.durable()`."""
        stands, new = self._enter(entry)
        self.journal.append(msgspec.json.encode(entry))
        for event in new:
            self.told(event)
        if self.books.agenda:
            self._wake()
        return stands

    def catch_up(self) -> None:
        """Let happen what is due: holds that ran out, refunds that settle, disputes."""
        while self.books.agenda and self.books.agenda[0][0] <= time.time():
            due = decisions.next_due(self.books, int(time.time()))
            if due is not None:
                self.record(due)
        self._wake()

    def close(self) -> None:
        """Let another process open the ledger."""
        if self._alarm is not None:
            self._alarm.cancel()
        self.journal.close()

    def _enter(self, entry: Entry) -> tuple[Standing, list[Event]]:
        stands = self.books.enter(entry)
        new = events.of(entry, stands, self.books)
        for event in new:
            self.events.put(event)
        return stands, new

    def _wake(self) -> None:
        """Set the alarm to the next thing that happens by itself."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self.books.agenda:
            after_s = max(self.books.agenda[0][0] - time.time(), 0.0)
            self._alarm = asyncio.get_running_loop().call_later(after_s, self.catch_up)
