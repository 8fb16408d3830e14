"""What a storm came to: a table of its faults, the violations with their stories, a last line."""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from db.invariants import Violation
from ops.storm.checks import CHECKS, LATER
from ops.storm.evidence import Evidence
from ops.storm.faults.table import FAULTS
from ops.storm.healing import Healing
from ops.storm.history import Entry, Outcome
from ops.storm.nemesis import Seen
from ops.storm.story import story

_STORIES_MAX = 5
_SHOWN_MAX = 30
_SEEN_MAX = 3


class Result(msgspec.Struct, frozen=True):
    """The last line; `healed_s` is null if the platform never came to rest."""

    seed: int
    seconds: float
    orders: int
    faults: Mapping[str, int]
    violations: Sequence[Violation]
    healed_s: float | None
    settled: int


class Storm(msgspec.Struct, frozen=True, kw_only=True):
    """A storm that is over."""

    seed: int
    seconds: float
    seen: Sequence[Seen]
    healing: Healing
    looks: int  # of the auditor, while it raged
    evidence: Evidence
    violations: Sequence[Violation]


def result(storm: Storm) -> Result:
    """Sum a storm up."""
    struck = Counter(seen.strike.fault for seen in storm.seen if not seen.missed)
    ended = ("paid", "cancelled", "shipped", "delivered", "returned")
    return Result(
        seed=storm.seed,
        seconds=storm.seconds,
        orders=len(storm.evidence.orders),
        faults=dict(sorted(struck.items())),
        violations=storm.violations,
        healed_s=None if storm.healing.seconds is None else round(storm.healing.seconds, 1),
        settled=sum(order.status in ended for order in storm.evidence.orders.values()),
    )


def exit_code(result: Result) -> int:
    """Give 0 only if the platform healed and no promise was broken."""
    return 1 if result.violations or result.healed_s is None else 0


def show(storm: Storm, console: Console) -> None:
    """Print everything but the last line."""
    console.print(_faults(storm.seen))
    console.print(_operations(storm.evidence.history))
    console.print(_orders(storm.evidence))
    console.print(_checks(storm))
    for left in storm.healing.left:
        console.print(f"not at rest: {left}", markup=False, soft_wrap=True)
    for violation in storm.violations[:_SHOWN_MAX]:
        text = f"{violation.invariant}: {violation.subject}: {violation.detail}"
        console.print(text, markup=False, soft_wrap=True)
    for order_id in list(dict.fromkeys(v.subject for v in storm.violations))[:_STORIES_MAX]:
        _tell(storm, order_id, console)


def _faults(seen: Sequence[Seen]) -> Table:
    table = Table(box=SIMPLE)
    for column in ("fault", "times", "missed", "seen"):
        table.add_column(column, overflow="fold")
    for name in FAULTS:
        strikes = [each for each in seen if each.strike.fault == name]
        if strikes:
            what = "; ".join(dict.fromkeys(each.what for each in strikes[:_SEEN_MAX]))
            missed = sum(each.missed for each in strikes)
            table.add_row(name, str(len(strikes) - missed), str(missed or ""), what)
    return table


def _operations(history: Sequence[Entry]) -> Table:
    table = Table(box=SIMPLE)
    for column in ("operation", *Outcome, "tries"):
        table.add_column(column)
    for op in dict.fromkeys(entry.asked.op for entry in history):
        entries = [entry for entry in history if entry.asked.op is op]
        outcomes = Counter(entry.outcome for entry in entries)
        tries = sum(len(entry.tries) for entry in entries)
        table.add_row(op, *(str(outcomes[outcome]) for outcome in Outcome), str(tries))
    return table


def _orders(e: Evidence) -> Table:
    table = Table(box=SIMPLE)
    for column in ("orders", "status"):
        table.add_column(column)
    for status, count in Counter(order.status for order in e.orders.values()).most_common():
        table.add_row(str(count), status)
    return table


def _checks(storm: Storm) -> Table:
    table = Table(box=SIMPLE)
    for column in ("promise", "violations"):
        table.add_column(column)
    counts = Counter(violation.invariant for violation in storm.violations)
    for name in dict.fromkeys((*CHECKS, *counts)):
        table.add_row(name, str(counts[name]))
    table.caption = (
        f"What Postgres tells by itself was also looked at {storm.looks} times meanwhile."
    )
    for name, why in LATER.items():
        table.add_row(name, f"not applicable: {why}")
    return table


def _tell(storm: Storm, order_id: str, console: Console) -> None:
    console.print(f"\nThe story of {order_id}", markup=False)
    for line in story(storm.evidence, storm.seen, order_id):
        console.print(f"  {line}", markup=False, soft_wrap=True, highlight=False)
