import asyncio
from random import Random

import aiohttp
import pytest

from ops.sandbox.board import Kind
from ops.storm.faults.fault import Untouched
from ops.storm.faults.gateway import post
from tests.ops.sandbox.caller import Caller
from tests.outside import Sandbox
from tests.waiting import eventually

SECONDS = 0.4
DICE = Random(1)  # noqa: S311 - dice of a test


async def test_fault_that_meets_nothing_is_posted_again_and_at_last_says_so(
    outside: Sandbox,
) -> None:
    clock = asyncio.get_running_loop()
    began = clock.time()

    with pytest.raises(Untouched, match=r"^0 struck$"):
        await post(outside.gateway_url, Kind.KEPT_500, SECONDS, DICE)

    assert clock.time() - began > 2 * SECONDS


async def test_fault_tells_how_often_it_struck_though_it_is_off_the_board(
    outside: Sandbox,
) -> None:
    async with aiohttp.ClientSession() as session:
        caller = Caller(session, outside.gateway_url)

        async def refused() -> bool:
            return (await caller.charge()).status == 500

        posting = asyncio.create_task(post(outside.gateway_url, Kind.ERROR_500, 2.0, DICE))
        await eventually(refused)

        assert (await posting).endswith(" struck")
        assert (await caller.get("/faults")).json["faults"] == []
