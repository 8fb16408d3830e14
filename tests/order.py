"""The order of tests: what takes long begins first, so that little is left to wait for at the end.

By name, and no two halves of a file apart: only the long ones move.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Protocol, TypeVar

# Those that start processes, and wait for them; the longest first.
LONG = (
    "tests/ops/storm/test_storm.py",
    "tests/ops/storm/matrix/test_matrix.py",
    "tests/ops/local/test_demo.py",
    "tests/ops/bench/test_phases.py",
    "tests/ops/local/test_replay.py",
    "tests/scenarios/",
    "tests/api/test_fuzz_schema.py",
    "tests/api/test_enumeration.py",
    "tests/ops/storm/sabotage/test_trial.py",
    "tests/ops/local/",
    "tests/api/test_app.py",
    "tests/domain/test_machine.py",
)


class Item(Protocol):
    @property
    def nodeid(self) -> str: ...


T = TypeVar("T", bound=Item)


def dealt(items: Sequence[T], workers: int) -> list[T]:
    """Order tests for xdist's `worksteal`, which gives each worker an equal run of them at first.

    Half of the workers begin with the long ones: they wait a lot, and the others use that.
    """
    ranked = sorted((rank, n) for n, item in enumerate(items) if (rank := _rank(item)) is not None)
    long = [items[n] for _, n in ranked]
    short = iter([item for item in items if _rank(item) is None])
    beginning = (workers + 1) // 2
    ordered: list[T] = []
    for worker in range(workers):
        size = (len(items) - len(ordered)) // (workers - worker)
        first = long[worker::beginning] if worker < beginning else []
        ordered += first
        ordered += islice(short, max(0, size - len(first)))
    return [*ordered, *short]


def _rank(item: Item) -> int | None:
    ranks = (rank for rank, name in enumerate(LONG) if item.nodeid.startswith(name))
    return next(ranks, None)
