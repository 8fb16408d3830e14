"""A fault: its name, the lane it shares with those it would get in the way of, and what it does."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import msgspec

from ops.storm.arena import Arena

_POLL_S = 0.05


class Blow(msgspec.Struct, frozen=True):
    """One strike: where, with which dice and for how long."""

    arena: Arena
    chance: Random
    seconds: float


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What can go wrong; `strike` does it, ends it and says what was seen."""

    name: str
    lane: str
    seconds: float = 0.0
    strike: Callable[[Blow], Awaitable[str]]


class NotHere(Exception):
    """This machine does not allow the fault; the message says what is missing."""


class Untouched(Exception):
    """The fault was there, and nothing came by that it could strike; the message says so."""


def struck(times: int, what: str) -> str:
    """Say how often a fault struck; raises Untouched if it never did."""
    if not times:
        raise Untouched(f"0 {what}")
    return f"{times} {what}"


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what only asking can tell."""
    while True:
        if await is_so():
            return
        await asyncio.sleep(_POLL_S)
