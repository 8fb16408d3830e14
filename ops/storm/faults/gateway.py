"""Faults of the payment gateway and of its webhooks, most of them on the sandbox's board."""

import asyncio
from collections.abc import Mapping
from functools import partial
from random import Random
from typing import Any

import aiohttp
import msgspec

from ops.sandbox.board import WEBHOOK_KINDS, Kind, Shown
from ops.storm.arena import Arena
from ops.storm.faults.fault import Blow, Fault, struck

LANE = "gateway"
_WEBHOOKS = "webhooks"
# Of the calls while it lasts; a second call of the same may then go well.
_SHARE = 0.3
_DOWN_S, _LASTS_S = 8.0, 4.0
# An answer that comes after its events is still waited for.
_DELAY_S = {Kind.DELAY: 3.0, Kind.SLOW: 3.0, Kind.NOT_FOUND_YET: 6.0, Kind.TOLD_FIRST: 1.0}
_WEBHOOK_DELAY_S = 2.0
_LOOK_EVERY_S = 0.25
# While workers stand still nobody calls the gateway, and no events follow.
_POSTS_MAX = 3
_TIMEOUT = aiohttp.ClientTimeout(total=5.0)


class _Board(msgspec.Struct):
    faults: list[Shown]


async def _post(fault: Kind, blow: Blow) -> str:
    return await post(blow.arena.gateway_url, fault, blow.seconds, blow.chance)


async def post(gateway_url: str, fault: Kind, seconds: float, chance: Random) -> str:
    """Put a fault on the board for its time, and again while it has struck nothing.

    Meanwhile the next fault of its lane may come: they go by the same board. Raises Untouched.
    """
    times = 0
    for _ in range(_POSTS_MAX):
        times = times or await _posted(f"{gateway_url}/faults", _content(fault, seconds, chance))
    return struck(times, "struck")


def _content(fault: Kind, seconds: float, chance: Random) -> Mapping[str, Any]:
    whole = fault in {Kind.DOWN, Kind.FLAPPING, Kind.NOT_FOUND_YET} | WEBHOOK_KINDS
    content: dict[str, Any] = {
        "fault": fault.value,
        "seconds": seconds,
        "delay_s": _DELAY_S.get(fault, _WEBHOOK_DELAY_S),
        "seed": chance.randrange(2**31),
    }
    return content if whole else {**content, "probability": _SHARE}


async def _posted(url: str, content: Mapping[str, Any]) -> int:
    """Post a fault and wait for its end; how often it struck, as far as the board told."""
    clock, most = asyncio.get_running_loop(), 0
    async with aiohttp.ClientSession(timeout=_TIMEOUT, raise_for_status=True) as session:
        async with session.post(url, json=content):
            ends = clock.time() + content["seconds"]
        # Once it has ended the board does not know it any more.
        while clock.time() < ends:
            await asyncio.sleep(min(_LOOK_EVERY_S, content["seconds"] / 10))
            async with session.get(url) as response:
                board = msgspec.json.decode(await response.read(), type=_Board)
            now = sum(one.struck for one in board.faults if one.posted.seed == content["seed"])
            most = max(most, now)
    return most


async def _cut(blow: Blow) -> str:
    return struck(blow.arena.tapped.gateway.cut(), "links cut")


async def _freeze(blow: Blow) -> str:
    blow.arena.tapped.gateway.freeze()
    try:
        await asyncio.sleep(blow.seconds)
    finally:
        blow.arena.tapped.gateway.mend()
    return f"frozen {blow.seconds:.0f} s"


async def _refuse(blow: Blow) -> str:
    blow.arena.tapped.gateway.refusing = True
    blow.arena.tapped.gateway.cut()
    try:
        await asyncio.sleep(blow.seconds)
    finally:
        blow.arena.tapped.gateway.mend()
    return f"unreachable {blow.seconds:.0f} s"


def _name(kind: Kind) -> str:
    if kind is Kind.TOLD_FIRST:
        return "webhook-early"
    return kind.value if kind in WEBHOOK_KINDS else f"gateway-{kind}"


async def mend(arena: Arena) -> None:
    """Take every fault off the board."""
    arena.tapped.gateway.mend()
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT, raise_for_status=True) as session,
        session.delete(f"{arena.gateway_url}/faults"),
    ):
        return


FAULTS = (
    *(
        Fault(
            name=_name(kind),
            lane=_WEBHOOKS if kind in WEBHOOK_KINDS else LANE,
            seconds=_DOWN_S if kind is Kind.DOWN else _LASTS_S,
            strike=partial(_post, kind),
        )
        for kind in Kind
    ),
    Fault(name="gateway-cut", lane=LANE, strike=_cut),
    Fault(name="gateway-freeze", lane=LANE, seconds=5.0, strike=_freeze),
    Fault(name="gateway-refused", lane=LANE, seconds=4.0, strike=_refuse),
)
