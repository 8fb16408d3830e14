"""A group in one go, and in halves when it fails, so that one poisoned member is found."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import Collision, Unavailable, forget_values, refusal_of

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


async def in_savepoints(
    tx: AsyncConnection,
    members: Sequence[Member],
    do: Callable[[Sequence[Member]], Awaitable[None]],
) -> list[Exception]:
    """Do a group within a transaction, in halves where it fails; gives why single ones failed.

    Nothing is left of those, and all of the rest. Raises what is no member's fault.
    """
    try:
        async with tx.begin_nested():
            await do(members)
    except Exception as error:
        if refusal_of(error):
            raise
        forget_values(error)
        middle = len(members) // 2
        if not middle:
            return [error]
        first = await in_savepoints(tx, members[:middle], do)
        return first + await in_savepoints(tx, members[middle:], do)
    return []
