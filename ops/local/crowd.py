"""Many at the same time, but not all: work on a sequence with bounded concurrency."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


async def each(
    items: Sequence[Item], work: Callable[[Item], Awaitable[Result]], *, at_once: int
) -> list[Result]:
    """Do the work on every item, begun in their order; the results are in that order, too.

    The first failure ends the others and is raised.
    """
    results: dict[int, Result] = {}
    waiting = iter(enumerate(items))

    async def take() -> None:
        for n, item in waiting:
            results[n] = await work(item)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(at_once):
                tasks.create_task(take())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [results[n] for n in range(len(items))]
