"""One order's story on the terminal: its events and mails, and when after it was placed."""

from collections.abc import Sequence

from rich.console import Console

from ops.local.audit import Mail
from ops.local.client import Event


def show(console: Console, title: str, events: Sequence[Event], mails: Sequence[Mail]) -> None:
    """Print what happened to an order, each line with the milliseconds since it was placed."""
    rows = [(event.at, event.kind, event.status, _text(event)) for event in events]
    rows += [(mail.at, "mail received", "", mail.subject) for mail in mails]
    rows.sort(key=lambda row: row[0])
    console.print(title, soft_wrap=True, markup=False)
    for at, kind, status, text in rows:
        after_ms = (at - events[0].at).total_seconds() * 1000
        line = f"{after_ms:9,.0f} ms  {kind:17} {status:10} {text}"
        console.print(line, markup=False, soft_wrap=True)


def _text(event: Event) -> str:
    return ", ".join(f"{name} {value}" for name, value in event.data.items())
