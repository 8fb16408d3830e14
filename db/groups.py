"""A group in one go, and in halves when it fails, so that one poisoned member is found."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from db.engine import Collision, Unavailable

Member = TypeVar("Member")
Result = TypeVar("Result")

# A deadlock is no member's fault: the same group is simply run again.
RUNS_MAX = 3


async def in_halves(
    members: Sequence[Member], run: Callable[[Sequence[Member]], Awaitable[Sequence[Result]]]
) -> list[Result | Exception]:
    """Run a group; returns a result or the exception for each member, in order.

    `run` does all or nothing, in one transaction. Raises Unavailable: then nothing is
    wrong with any member, and whether the last commit happened is open.
    """
    if not members:
        return []
    try:
        return list(await _patiently(members, run))
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001 - it is the result of the one member it stays with
        if len(members) == 1:
            return [error]
        middle = len(members) // 2
        first = await in_halves(members[:middle], run)
        return first + await in_halves(members[middle:], run)


async def _patiently(
    members: Sequence[Member], run: Callable[[Sequence[Member]], Awaitable[Sequence[Result]]]
) -> Sequence[Result]:
    for _ in range(RUNS_MAX - 1):
        try:
            return await run(members)
        except Collision:
            continue
    return await run(members)
