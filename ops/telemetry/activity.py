"""What this process does right now: its stages say so, and its heartbeat tells the rest."""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from itertools import count

import msgspec

# The longest under way are told of; of the others only how many there are.
TOLD_MAX = 20


class Doing(msgspec.Struct, frozen=True):
    """Something under way; `since_s` is what a monotonic clock of this process showed then."""

    stage: str
    what: str
    since_s: float
    ids: Mapping[str, str]


class Told(msgspec.Struct, frozen=True):
    """Something under way for `for_s` when it was told."""

    stage: str
    what: str
    for_s: float
    ids: Mapping[str, str]


_numbers = count()
_under_way: dict[int, Doing] = {}
_counted: dict[str, Callable[[], int]] = {}
_NO_IDS: Mapping[str, str] = {}


@contextmanager
def doing(stage: str, what: str, ids: Mapping[str, str] = _NO_IDS) -> Generator[None]:
    """Have it known, while inside, what a stage does."""
    number = next(_numbers)
    _under_way[number] = Doing(stage, what, time.monotonic(), ids)
    try:
        yield
    finally:
        del _under_way[number]


def count_of(stage: str, read: Callable[[], int]) -> None:
    """Have it known how many a stage has under way, of which there are too many to name."""
    _counted[stage] = read


def ids(task_id: int, order_id: object) -> Mapping[str, str]:
    """Name a task and the order it works for, if any."""
    named = {"task_id": str(task_id)}
    return named if order_id is None else named | {"order_id": str(order_id)}


def told() -> list[Told]:
    """Tell what is under way, the longest first."""
    # A copy: other threads may begin and end things meanwhile.
    found = sorted(_under_way.copy().values(), key=lambda one: one.since_s)
    at_s = time.monotonic()
    named = [Told(d.stage, d.what, round(at_s - d.since_s, 3), d.ids) for d in found[:TOLD_MAX]]
    if len(found) > TOLD_MAX:
        named.append(Told("more", f"{len(found) - TOLD_MAX} under way", 0.0, _NO_IDS))
    busy = [(stage, read()) for stage, read in _counted.items()]
    return named + [Told(stage, f"{n} under way", 0.0, _NO_IDS) for stage, n in busy if n]
