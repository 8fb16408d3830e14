"""Breakers: calls that run side by side, are cancelled, or end late."""

import asyncio

import pytest

from domain.payment import Outcome
from tests.workers.breakers import SUCCEEDED, UNKNOWN, World, cancelled, world
from workers.breaker import PROBE_WAIT_S, Refused, guarded

__all__ = ["world"]

# A refusal takes no time; with none there is nothing to wait for.
REFUSED_WITHIN_S = 10.0


async def test_calls_run_side_by_side(world: World) -> None:
    breaker, answered = world.breaker(), asyncio.Event()

    # Gives them back only once all fifty are inside.
    calls = await world.begin(breaker, SUCCEEDED, until=answered, calls=50)

    answered.set()
    assert await asyncio.gather(*calls) == [SUCCEEDED] * 50


async def test_one_of_fifty_concurrent_calls_is_the_probe(world: World) -> None:
    breaker, answered = await world.opened(), asyncio.Event()
    world.now_s += 30.0
    asked = 0

    async def call() -> Outcome:
        nonlocal asked
        asked += 1
        _ = await answered.wait()
        return SUCCEEDED

    calls = [asyncio.create_task(guarded(breaker, call)) for _ in range(50)]
    refused, probe = await asyncio.wait(
        calls, timeout=REFUSED_WITHIN_S, return_when=asyncio.FIRST_COMPLETED
    )
    assert [ended.result() for ended in refused] == [Refused(PROBE_WAIT_S)] * 49
    assert breaker.is_open()

    answered.set()
    assert await asyncio.gather(*probe) == [SUCCEEDED]
    assert asked == 1
    assert world.moves() == ["open", "half-open", "closed"]


@pytest.mark.parametrize(("outcome", "then"), [(SUCCEEDED, "closed"), (UNKNOWN, "open")])
async def test_cancelled_probe_counts_as_nothing_and_gives_its_slot_back(
    world: World, outcome: Outcome, then: str
) -> None:
    breaker = await world.opened()
    world.now_s += 30.0

    await cancelled(await world.begin(breaker, SUCCEEDED, until=asyncio.Event()))

    assert world.moves() == ["open", "half-open"]
    assert not breaker.is_open()
    assert await world.run(breaker, [outcome]) == [outcome]
    assert world.moves() == ["open", "half-open", then]


async def test_cancelled_calls_are_not_failures(world: World) -> None:
    breaker = world.breaker()

    await cancelled(await world.begin(breaker, SUCCEEDED, until=asyncio.Event(), calls=20))

    assert not breaker.is_open()


async def test_cancelled_call_is_not_a_success_that_ends_a_run(world: World) -> None:
    breaker = world.breaker()
    _ = await world.run(breaker, [UNKNOWN] * 4)

    await cancelled(await world.begin(breaker, SUCCEEDED, until=asyncio.Event()))

    _ = await world.run(breaker, [UNKNOWN])
    assert breaker.is_open()


async def test_cancelled_calls_do_not_thin_out_the_rate(world: World) -> None:
    breaker = world.breaker()

    await cancelled(await world.begin(breaker, SUCCEEDED, until=asyncio.Event(), calls=20))

    _ = await world.run(breaker, [SUCCEEDED, UNKNOWN] * 5)
    assert breaker.is_open()


async def test_calls_under_way_when_it_opens_neither_prolong_nor_repeat_that(world: World) -> None:
    breaker, late = world.breaker(), asyncio.Event()
    calls = await world.begin(breaker, UNKNOWN, until=late, calls=20)
    _ = await world.run(breaker, [UNKNOWN] * 5)

    world.now_s += 10.0
    late.set()

    assert await asyncio.gather(*calls) == [UNKNOWN] * 20
    assert breaker.wait_s() == 20.0
    assert world.moves() == ["open"]


@pytest.mark.parametrize("late", [SUCCEEDED, UNKNOWN])
async def test_late_answer_does_not_decide_for_the_probe(world: World, late: Outcome) -> None:
    breaker, arrived, answered = world.breaker(), asyncio.Event(), asyncio.Event()
    [straggler] = await world.begin(breaker, late, until=arrived)
    _ = await world.run(breaker, [UNKNOWN] * 5)
    world.now_s += 30.0
    [probe] = await world.begin(breaker, SUCCEEDED, until=answered)

    arrived.set()
    assert await straggler == late
    assert world.moves() == ["open", "half-open"]
    assert breaker.is_open()

    answered.set()
    assert await probe == SUCCEEDED
    assert world.moves() == ["open", "half-open", "closed"]


async def test_late_failures_do_not_open_a_breaker_that_closed_again(world: World) -> None:
    breaker, late = world.breaker(), asyncio.Event()
    calls = await world.begin(breaker, UNKNOWN, until=late, calls=20)
    _ = await world.run(breaker, [UNKNOWN] * 5)
    world.now_s += 30.0
    _ = await world.run(breaker, [SUCCEEDED])

    late.set()
    _ = await asyncio.gather(*calls)

    assert world.moves() == ["open", "half-open", "closed"]
