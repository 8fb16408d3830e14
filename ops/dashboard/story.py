"""The story of an order: its timeline with tasks, calls to gateways, mails and staff woven in."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from db.audit import EntryView
from db.dossiers import MailOf, TaskOf
from db.events import TimelineEntry
from db.payments import AttemptView
from domain.actor import Actor, ActorKind, cause, presumed

# What of an event's data is shown beside its name, in this order.
_TOLD = ("reason", "operation", "outcome", "code", "detail", "note", "means", "evidence")
_TONES: Mapping[str, str] = {
    "order_paid": "good",
    "payment_authorized": "good",
    "payment_captured": "good",
    "order_backordered": "warn",
    "order_cancelled": "bad",
    "payment_declined": "bad",
    "payment_refused": "bad",
    "payment_disputed": "bad",
    "payment_unknown": "warn",
    "payment_in_review": "warn",
    "late_payment": "warn",
    "dead": "bad",
    "unknown": "warn",
    "declined": "bad",
    "refused": "bad",
}


# Of one transaction, an event bears the time of its statement, all else that of its beginning.
_TRANSACTION_MAX = timedelta(milliseconds=250)


class Entry(msgspec.Struct, frozen=True):
    """One line of the story; only an event has a version, as of which the order can be seen.

    One that is `with_event` was written in the transaction of the event that comes next, if one
    comes at once.
    """

    at: datetime
    of: str  # event, task, payment, mail or staff
    what: str
    detail: str = ""
    by: str = ""
    cause: str = ""
    tone: str = ""
    version: int | None = None
    with_event: bool = False


def who(actor: Actor, names: Mapping[UUID, str]) -> str:
    """Write an actor for people."""
    named = names.get(actor.id, str(actor.id)) if actor.id else ""
    match actor.kind:
        case ActorKind.STAFF:
            role = f"{actor.name} " if actor.name else "staff "
            return f"{role}{named}{' (API key)' if actor.key else ''}".strip()
        case ActorKind.CUSTOMER:
            return f"customer {named}{' (API key)' if actor.key else ''}"
        case ActorKind.GATEWAY:
            return f"gateway {actor.name}"
        case ActorKind.GUEST:
            return "customer without an account"
        case ActorKind.CLOCK:
            return "the clock"
        case ActorKind.WORKER:
            return "a worker"


def actor_ids(events: Iterable[TimelineEntry], entries: Iterable[EntryView]) -> list[UUID]:
    """Name the accounts that a story speaks of."""
    actors = {event.actor.id for event in events if event.actor and event.actor.id}
    return sorted(actors | {entry.actor for entry in entries if entry.actor})


def weave(  # noqa: PLR0913, PLR0917 - one parameter per thread
    events: Sequence[TimelineEntry],
    tasks: Sequence[TaskOf],
    attempts: Sequence[AttemptView],
    mails: Sequence[MailOf],
    entries: Sequence[EntryView],
    names: Mapping[UUID, str],
) -> list[Entry]:
    """Put everything in the order of time; of one moment the event comes first."""
    told = [
        *(_event(event, names) for event in events),
        *(line for task in tasks for line in _task(task)),
        *(line for attempt in attempts for line in _attempt(attempt)),
        *(line for mail in mails for line in _mail(mail)),
        *(_staff(entry, names) for entry in entries),
    ]
    moments = [event.at for event in events]
    return sorted(told, key=lambda entry: (_place(entry, moments), entry.version is None))


def _place(entry: Entry, moments: Sequence[datetime]) -> datetime:
    """Give the time of the event that a line follows from, or else its own."""
    n = bisect_left(moments, entry.at) if entry.with_event else len(moments)
    if n < len(moments) and moments[n] - entry.at <= _TRANSACTION_MAX:
        return moments[n]
    return entry.at


def _event(event: TimelineEntry, names: Mapping[UUID, str]) -> Entry:
    said = [str(event.data[key]) for key in _TOLD if event.data.get(key)]
    return Entry(
        event.at,
        "event",
        event.kind,
        "; ".join(said),
        who(event.actor or presumed(event.kind, event.data), names),
        cause(event.kind, event.data),
        _TONES.get(event.kind, ""),
        event.version,
    )


def _task(task: TaskOf) -> Iterator[Entry]:
    name = f"task {task.id}: {task.kind}"
    tries = f"attempt {task.attempt} of {task.attempts_max}"
    yield Entry(task.created_at, "task", f"{name} written", with_event=True)
    if task.finished_at is not None:
        detail = f"{tries}; {task.last_error}" if task.last_error else tries
        tone = _TONES.get(task.state, "")
        what = f"{name} {task.state}"
        yield Entry(task.finished_at, "task", what, detail, tone=tone, with_event=True)


def _attempt(attempt: AttemptView) -> Iterator[Entry]:
    ref = f"our reference {attempt.id}"
    yield Entry(attempt.created_at, "payment", f"{attempt.kind} at {attempt.gateway}", ref)
    said = [attempt.gateway_ref and f"{attempt.gateway} calls it {attempt.gateway_ref}"]
    detail = "; ".join(part for part in (*said, attempt.error) if part)
    tone = _TONES.get(attempt.state, "")
    what = f"{attempt.kind} is {attempt.state}"
    yield Entry(attempt.updated_at, "payment", what, detail, tone=tone, with_event=True)


def _mail(mail: MailOf) -> Iterator[Entry]:
    yield Entry(mail.created_at, "mail", f"{mail.kind} written", f"to {mail.recipient}")
    if mail.sent_at is not None:
        yield Entry(mail.sent_at, "mail", f"{mail.kind} sent", f"to {mail.recipient}")
    elif mail.state == "refused":
        yield Entry(mail.created_at, "mail", f"{mail.kind} refused", mail.error or "", tone="bad")


def _staff(entry: EntryView, names: Mapping[UUID, str]) -> Entry:
    by = names.get(entry.actor, str(entry.actor)) if entry.actor else entry.actor_kind
    said = [f"{key} {value}" for key, value in (entry.after or {}).items() if _is_word(value)]
    return Entry(entry.at, "staff", entry.action, ", ".join(said), by, with_event=True)


def _is_word(value: object) -> bool:
    return isinstance(value, str | int) and value is not True and value is not False
