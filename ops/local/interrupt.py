"""Ending on a signal: the first one cancels the work, which then stops what it started."""

import asyncio
from collections.abc import Coroutine
from signal import SIGHUP, SIGINT, SIGTERM
from typing import TypeVar

_Result = TypeVar("_Result")
_TOLD = (SIGINT, SIGTERM, SIGHUP)


def run_until_told(work: Coroutine[object, None, _Result]) -> _Result | None:
    """Run the work and return its result, or None if a signal ended it first.

    Later signals change nothing: stopping is bounded in time and must not be cut short.
    """
    return asyncio.run(_until_told(work))


async def _until_told(work: Coroutine[object, None, _Result]) -> _Result | None:
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    told = False

    def tell() -> None:
        nonlocal told
        if not told:
            told = True
            task.cancel()

    for number in _TOLD:
        loop.add_signal_handler(number, tell)
    try:
        return await task
    except asyncio.CancelledError:
        if not told:
            raise
        return None
