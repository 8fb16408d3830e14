"""How long two kinds of requests take, side by side."""

import time
from collections.abc import Awaitable, Callable
from statistics import median

Ask = Callable[[], Awaitable[object]]

# A busy machine makes a few samples differ; what differs by work differs in all of them.
ROUNDS_MAX = 4


async def apart(one: Ask, other: Ask, *, samples: int, within: float) -> float:
    """Measure by which share of the shorter one the medians differ; a round has `samples` of each.

    Taken by turns, so that what the machine does besides meets both alike. While they differ by
    more than `within`, another round is added to those before: noise evens out.
    """
    took: tuple[list[float], list[float]] = ([], [])
    measured = 1.0
    for _ in range(ROUNDS_MAX):
        for number in range(samples):
            for ask, into in list(zip((one, other), took, strict=True))[:: 1 - 2 * (number % 2)]:
                began = time.perf_counter()
                await ask()
                into.append(time.perf_counter() - began)
        medians = sorted(map(median, took))
        measured = medians[1] / medians[0] - 1
        if measured <= within:
            break
    return measured
