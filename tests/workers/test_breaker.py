"""Breakers: when they open, and how a probe closes them."""

from itertools import cycle, islice

import pytest

from domain.payment import Outcome, Unknown
from tests.workers.breakers import DECLINED, SUCCEEDED, UNKNOWN, UNSENT, World, world
from workers.breaker import WINDOW_CALLS_MIN, Refused, guarded

__all__ = ["world"]


def alternating(first: Outcome, second: Outcome, calls: int) -> list[Outcome]:
    return list(islice(cycle((first, second)), calls))


async def test_outcomes_pass_through_a_closed_breaker(world: World) -> None:
    outcomes = [SUCCEEDED, DECLINED, UNKNOWN, UNSENT]

    assert await world.run(world.breaker(), outcomes) == outcomes


@pytest.mark.parametrize("failure", [UNKNOWN, UNSENT])
async def test_fifth_failure_in_a_row_opens_it(world: World, failure: Outcome) -> None:
    breaker = world.breaker()

    answers = await world.run(breaker, [failure] * 4)
    assert not breaker.is_open()
    answers += await world.run(breaker, [failure] * 2)

    assert answers == [failure] * 5 + [Refused(30.0)]
    assert world.asked == 5
    assert world.changes == [("stripe", "closed", "open")]


@pytest.mark.parametrize("answer", [SUCCEEDED, DECLINED])
async def test_answer_of_the_gateway_ends_a_run_of_failures(world: World, answer: Outcome) -> None:
    breaker = world.breaker(breaker_failure_rate=1.0)

    _ = await world.run(breaker, [*[UNKNOWN] * 4, answer, *[UNKNOWN] * 4])

    assert not breaker.is_open()


async def test_declined_cards_never_open_it(world: World) -> None:
    breaker = world.breaker()

    _ = await world.run(breaker, [DECLINED] * 100)

    assert not breaker.is_open()
    assert world.changes == []


@pytest.mark.parametrize("first", [SUCCEEDED, UNKNOWN])
async def test_gateway_that_flaps_at_half_opens_it_once_there_are_calls_to_judge(
    world: World, first: Outcome
) -> None:
    breaker = world.breaker()
    second = UNKNOWN if first is SUCCEEDED else SUCCEEDED
    outcomes = alternating(first, second, WINDOW_CALLS_MIN)

    _ = await world.run(breaker, outcomes[:-1])
    assert not breaker.is_open()
    _ = await world.run(breaker, outcomes[-1:])

    assert breaker.is_open()
    assert world.moves() == ["open"]


async def test_fewer_failures_than_half_leave_it_closed(world: World) -> None:
    breaker = world.breaker()

    _ = await world.run(breaker, [SUCCEEDED, SUCCEEDED, UNKNOWN] * 40)

    assert not breaker.is_open()


async def test_run_and_rate_reached_by_one_failure_are_one_change(world: World) -> None:
    breaker = world.breaker()

    _ = await world.run(breaker, [*[SUCCEEDED] * 5, *[UNKNOWN] * 5])

    assert world.changes == [("stripe", "closed", "open")]


async def test_failures_older_than_the_window_are_forgotten(world: World) -> None:
    breaker = world.breaker()
    _ = await world.run(breaker, alternating(UNKNOWN, SUCCEEDED, 8))

    world.now_s += 30.0
    _ = await world.run(breaker, alternating(UNKNOWN, SUCCEEDED, 8))

    assert not breaker.is_open()


async def test_failures_within_the_window_are_remembered(world: World) -> None:
    breaker = world.breaker()
    _ = await world.run(breaker, alternating(UNKNOWN, SUCCEEDED, 8))

    world.now_s += 28.9
    _ = await world.run(breaker, [UNKNOWN, SUCCEEDED])

    assert breaker.is_open()


async def test_window_slides_past_each_call_by_itself(world: World) -> None:
    breaker = world.breaker()
    _ = await world.run(breaker, alternating(UNKNOWN, SUCCEEDED, 6))
    world.now_s += 20.0
    _ = await world.run(breaker, [SUCCEEDED] * 8)

    # The first six are gone: now 8 good ones stand against each new failure.
    world.now_s += 10.0
    _ = await world.run(breaker, alternating(UNKNOWN, SUCCEEDED, 6))
    assert not breaker.is_open()

    # The eight are gone, too: what is left flaps.
    world.now_s += 20.0
    _ = await world.run(breaker, alternating(UNKNOWN, SUCCEEDED, 4))
    assert breaker.is_open()


async def test_settings_say_when_it_opens_and_for_how_long(world: World) -> None:
    breaker = world.breaker(breaker_failures_max=2, breaker_open_s=7.0)

    assert await world.run(breaker, [UNSENT] * 3) == [UNSENT, UNSENT, Refused(7.0)]


async def test_settings_say_what_rate_opens_it_and_within_what_time(world: World) -> None:
    breaker = world.breaker(
        breaker_failures_max=100, breaker_failure_rate=0.8, breaker_window_s=3.0
    )

    _ = await world.run(breaker, [SUCCEEDED, UNKNOWN, UNKNOWN, UNKNOWN] * 5)
    assert not breaker.is_open()

    world.now_s += 3.0
    _ = await world.run(breaker, [*[UNKNOWN] * 4, SUCCEEDED, *[UNKNOWN] * 4])
    assert not breaker.is_open()
    _ = await world.run(breaker, [SUCCEEDED])
    assert breaker.is_open()


async def test_open_breaker_says_how_long_it_refuses(world: World) -> None:
    breaker = await world.opened()

    world.now_s += 29.5

    assert breaker.is_open()
    assert await world.run(breaker, [SUCCEEDED]) == [Refused(0.5)]
    assert world.asked == 5


async def test_asking_whether_it_is_open_takes_no_probe(world: World) -> None:
    breaker = await world.opened()

    world.now_s += 30.0

    assert [breaker.is_open() for _ in range(3)] == [False] * 3
    assert world.moves() == ["open"]
    assert await world.run(breaker, [SUCCEEDED]) == [SUCCEEDED]


@pytest.mark.parametrize("answer", [SUCCEEDED, DECLINED])
async def test_answered_probe_closes_it(world: World, answer: Outcome) -> None:
    breaker = await world.opened()

    world.now_s += 30.0

    assert await world.run(breaker, [answer, SUCCEEDED]) == [answer, SUCCEEDED]
    assert world.changes[1:] == [
        ("stripe", "open", "half-open"),
        ("stripe", "half-open", "closed"),
    ]


async def test_failed_probe_opens_it_for_the_whole_time_again(world: World) -> None:
    breaker = await world.opened()
    world.now_s += 40.0

    answers = await world.run(breaker, [UNSENT, SUCCEEDED])

    assert answers == [UNSENT, Refused(30.0)]
    assert world.moves() == ["open", "half-open", "open"]


async def test_failures_from_before_it_closed_do_not_open_it_again(world: World) -> None:
    breaker = world.breaker(breaker_open_s=1.0)
    _ = await world.run(breaker, alternating(UNKNOWN, SUCCEEDED, 10))
    assert breaker.is_open()

    world.now_s += 1.0
    _ = await world.run(breaker, [SUCCEEDED, *[UNKNOWN] * 4])

    assert not breaker.is_open()


async def test_probe_that_raises_opens_it_and_gives_its_slot_back(world: World) -> None:
    breaker = await world.opened()
    world.now_s += 30.0

    async def broken() -> Outcome:
        raise LookupError("adapter")

    with pytest.raises(LookupError, match="adapter"):
        _ = await guarded(breaker, broken)

    assert world.moves() == ["open", "half-open", "open"]
    world.now_s += 30.0
    assert await world.run(breaker, [SUCCEEDED]) == [SUCCEEDED]


async def test_gateways_have_breakers_of_their_own(world: World) -> None:
    _ = await world.opened("first")
    second = world.breaker("second")

    assert not second.is_open()
    assert await world.run(second, [SUCCEEDED]) == [SUCCEEDED]
    assert world.changes == [("first", "closed", "open")]


async def test_gateway_that_says_itself_that_it_cannot_tell_yet_is_well(world: World) -> None:
    breaker = world.breaker()

    _ = await world.run(breaker, [Unknown("It is not there yet.", pending=True)] * 20)

    assert not breaker.is_open()
