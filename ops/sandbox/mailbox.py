"""Every mail the sandbox took, kept as it came and read for people and programs."""

from collections.abc import Sequence
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import msgspec

from ops.sandbox.journal import Journal, JournalUnusable

FILE = "mails.jsonl"


class Kept(msgspec.Struct, frozen=True):
    """A mail as it came: the envelope and the bytes."""

    at: datetime
    sender: str
    recipients: list[str]
    raw: bytes  # base64 in the file


class Letter(msgspec.Struct, frozen=True):
    """A mail as one reads it; the first one is number 1."""

    n: int
    at: datetime
    sender: str
    to: str  # the recipients of the envelope
    subject: str
    message_id: str  # without angle brackets
    headers: list[tuple[str, str]]
    text: str


class Mailbox:
    """The mails in a folder, numbered as they came."""

    def __init__(self, folder: Path) -> None:
        """Open the file and find its mails. Raises JournalUnusable if another sandbox has it."""
        self.journal = Journal(folder / FILE)
        self._offsets = [offset for offset, _ in self.journal.lines()]

    def __len__(self) -> int:
        return len(self._offsets)

    def keep(self, sender: str, recipients: Sequence[str], raw: bytes) -> None:
        """Write a mail to the file, where it outlives this process."""
        kept = Kept(datetime.now(UTC), sender, list(recipients), raw)
        self._offsets.append(self.journal.append(msgspec.json.encode(kept)))

    def kept(self, n: int) -> Kept | None:
        """Return a mail as it came; None if there is no such number."""
        if not 1 <= n <= len(self):
            return None
        line = self.journal.read(self._offsets[n - 1])
        try:
            return msgspec.json.decode(line, type=Kept)
        except msgspec.DecodeError as error:
            raise JournalUnusable(
                f"{self.journal.path}: mail {n} is unreadable: {error}"
            ) from error

    def letters(self, numbers: range) -> list[Letter]:
        """Read mails; numbers without a mail are left out."""
        found = ((n, self.kept(n)) for n in numbers)
        return [letter(n, kept) for n, kept in found if kept is not None]


def letter(n: int, kept: Kept) -> Letter:
    """Read a mail. Whatever is malformed in it is shown as well as it can be."""
    message = message_from_bytes(kept.raw, policy=policy.default)
    headers = [(name, str(value)) for name, value in message.items()]
    first = {name.lower(): value for name, value in reversed(headers)}
    return Letter(
        n=n,
        at=kept.at,
        sender=kept.sender,
        to=", ".join(kept.recipients),
        subject=first.get("subject", ""),
        message_id=first.get("message-id", "").strip("<> "),
        headers=headers,
        text=_text(message, kept.raw),
    )


def _text(message: EmailMessage, raw: bytes) -> str:
    body = message.get_body(("plain", "html"))
    try:
        return str(body.get_content()) if body is not None else ""
    except (LookupError, ValueError):
        # An unknown charset or a broken encoding; the source says more than nothing.
        return raw.decode(errors="replace")
