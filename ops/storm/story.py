"""The story of one order: what was asked, what happened and which faults raged, by their time."""

from collections.abc import Iterator, Sequence

from ops.storm.evidence import Evidence
from ops.storm.nemesis import Seen

# A time since the storm began, and what was at it.
_Line = tuple[float, str]


def story(e: Evidence, seen: Sequence[Seen], order_id: str) -> list[str]:
    """Tell all that is known of an order: first what has a time, then how it ended."""
    told = sorted([*_requests(e, order_id), *_events(e, order_id)])
    if told:
        told = sorted([*told, *_faults(seen, told[0][0], told[-1][0])])
    return [f"{at_s:8.2f} s  {text}" for at_s, text in told] + list(_ends(e, order_id))


def _requests(e: Evidence, order_id: str) -> Iterator[_Line]:
    for entry in e.history:
        if entry.asked.order == order_id or order_id in entry.body:
            tries = ", ".join(f"{t.status} {t.code}".strip() for t in entry.tries)
            took = f"{entry.outcome} after {entry.ended_s - entry.invoked_s:.2f} s"
            yield entry.invoked_s, f"{entry.asked.op}: {took}: {tries}"


def _events(e: Evidence, order_id: str) -> Iterator[_Line]:
    for event in e.events:
        if event.order_id == order_id:
            text = f"version {event.version}: {event.kind}, {event.status}"
            yield event.at - e.began_at, f"{text} {event.attempt_id or ''}".rstrip()


def _faults(seen: Sequence[Seen], first_s: float, last_s: float) -> Iterator[_Line]:
    for each in seen:
        if each.began_s <= last_s and each.ended_s >= first_s:
            until = f"until {each.ended_s:.2f} s"
            yield each.began_s, f"fault {each.strike.fault}, {until}: {each.what}"


def _ends(e: Evidence, order_id: str) -> Iterator[str]:
    for a in e.attempts:
        if a.order_id == order_id:
            yield f"attempt {a.id}: {a.kind} of {a.amount_minor} is {a.state}"
    for t in e.tasks:
        if t.order_id == order_id:
            why = t.last_error or "no error"
            yield f"task {t.id}: {t.kind} is {t.state}, attempt {t.attempt}: {why}"
    yield f"gateway: {e.settlements.get(order_id, 'nothing')}"
