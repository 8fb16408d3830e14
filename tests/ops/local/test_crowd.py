"""Work on many is bounded, begun in order, and ended by the first failure."""

import asyncio

import pytest

from ops.local.crowd import each


async def test_results_are_in_the_order_of_the_items_whoever_ends_first() -> None:
    ended = {n: asyncio.Event() for n in range(4)}
    ended[3].set()

    async def work(n: int) -> int:
        if n < 3:
            await ended[n + 1].wait()
        ended[n].set()
        return n * n

    assert await each(range(4), work, at_once=4) == [0, 1, 4, 9]


async def test_no_more_are_worked_on_at_once_than_asked_for() -> None:
    busy, most = 0, 0

    async def work(_: int) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0)
        busy -= 1

    await each(range(20), work, at_once=3)

    assert most == 3


async def test_the_first_failure_ends_the_others_and_is_raised() -> None:
    begun: list[int] = []

    async def work(n: int) -> None:
        begun.append(n)
        if n == 1:
            raise LookupError("one")
        await asyncio.Event().wait()

    with pytest.raises(LookupError, match="one"):
        await each(range(9), work, at_once=2)

    assert begun == [0, 1]


async def test_nothing_to_do_is_done_at_once() -> None:
    async def work(_: int) -> None:
        raise AssertionError

    assert await each([], work, at_once=2) == []
