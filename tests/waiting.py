"""Waiting for what will become true, with a deadline: what tests do instead of sleeping."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Seen = TypeVar("Seen")

# Generous, for machines that are busy with something else; a good run waits milliseconds.
WITHIN_S = 60.0
POLL_S = 0.02


async def eventually(
    condition: Callable[[], Awaitable[Seen]], *, within_s: float = WITHIN_S
) -> Seen:
    """Ask until the answer is true, and return it; fails with the last answer after `within_s`."""
    clock = asyncio.get_running_loop()
    deadline = clock.time() + within_s
    while not (seen := await condition()):
        assert clock.time() < deadline, f"not within {within_s} s: {condition}, still {seen!r}"
        await asyncio.sleep(POLL_S)
    return seen
