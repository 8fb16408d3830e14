import asyncio
import gc
import traceback
import weakref
from collections.abc import Awaitable, Callable, Sequence

import pytest
from prometheus_client import REGISTRY

from api.gather import Gather
from db.engine import Unavailable
from ops.telemetry import trace

DEADLINE_S = 10
GROUP_MAX = 4
WAITING_MAX = 20
# Enough turns of the event loop for anything that waits for no timer and no I/O.
TURNS = 20

Run = Callable[[Sequence[str]], Awaitable[Sequence[str]]]


class Poisoned(Exception):
    pass


@pytest.fixture
async def gate() -> asyncio.Event:
    """While it is closed, no group gets done."""
    return asyncio.Event()


@pytest.fixture
def seen() -> list[list[str]]:
    """The groups that were run, in order."""
    return []


@pytest.fixture
def stage(gate: asyncio.Event, seen: list[list[str]]) -> Gather[str, str]:
    async def run(group: Sequence[str]) -> list[str]:
        seen.append(list(group))
        await gate.wait()
        if "poison" in group:
            raise Poisoned
        return [member.upper() for member in group]

    return gathered(run)


def gathered(run: Run) -> Gather[str, str]:
    return Gather("tests", run, group_max=GROUP_MAX, waiting_max=WAITING_MAX)


async def turn() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def submit(stage: Gather[str, str], *members: str) -> list[asyncio.Task[str]]:
    """Submit members; each waits in its place once this returns."""
    tasks = [asyncio.create_task(stage.submit(member)) for member in members]
    await turn()
    return tasks


async def outcomes(tasks: Sequence[asyncio.Task[str]]) -> list[str | BaseException]:
    async with asyncio.timeout(DEADLINE_S):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_lone_member_waits_for_no_timer(
    stage: Gather[str, str], gate: asyncio.Event, seen: list[list[str]]
) -> None:
    gate.set()

    [lone] = await submit(stage, "a")

    assert lone.done()
    assert lone.result() == "A"
    assert seen == [["a"]]


async def test_members_that_come_meanwhile_are_the_next_group(
    stage: Gather[str, str], gate: asyncio.Event, seen: list[list[str]]
) -> None:
    tasks = await submit(stage, "a") + await submit(stage, "b", "c", "d")

    gate.set()

    assert await outcomes(tasks) == ["A", "B", "C", "D"]
    assert seen == [["a"], ["b", "c", "d"]]


async def test_no_group_is_larger_than_its_limit_and_nobody_is_overtaken(
    stage: Gather[str, str], gate: asyncio.Event, seen: list[list[str]]
) -> None:
    tasks = await submit(stage, *"abcdefghij")

    gate.set()

    await outcomes(tasks)
    assert seen[0] == list("abcd")
    assert [member for group in seen for member in group] == list("abcdefghij")
    assert max(map(len, seen)) == GROUP_MAX


async def test_the_sizes_of_groups_are_counted(
    stage: Gather[str, str], gate: asyncio.Event
) -> None:
    def sums() -> tuple[float, float]:
        labels = {"stage": "tests"}
        count = REGISTRY.get_sample_value("orderflow_group_size_count", labels)
        return count or 0, REGISTRY.get_sample_value("orderflow_group_size_sum", labels) or 0

    groups, members = sums()
    tasks = await submit(stage, "a") + await submit(stage, "b", "c")

    gate.set()

    await outcomes(tasks)
    assert sums() == (groups + 2, members + 3)


async def test_a_poisoned_member_fails_alone(stage: Gather[str, str], gate: asyncio.Event) -> None:
    tasks = await submit(stage, "first") + await submit(stage, "a", "poison", "b", "c")

    gate.set()

    found = await outcomes(tasks)
    assert isinstance(found.pop(2), Poisoned)
    assert found == ["FIRST", "A", "B", "C"]


async def test_an_exception_that_is_a_result_is_raised_in_its_own_request_only() -> None:
    async def run(group: Sequence[str]) -> list[str | Exception]:
        return [Poisoned() if member == "poison" else member for member in group]

    stage: Gather[str, str] = Gather("tests", run, group_max=GROUP_MAX, waiting_max=WAITING_MAX)
    found = await outcomes(await submit(stage, "a", "poison", "b"))

    assert [type(f) for f in found] == [str, Poisoned, str]


async def test_who_comes_after_a_quiet_time_or_a_failure_is_served(
    stage: Gather[str, str], gate: asyncio.Event
) -> None:
    gate.set()

    assert isinstance((await outcomes(await submit(stage, "poison")))[0], Poisoned)
    assert await outcomes(await submit(stage, "a")) == ["A"]


async def test_a_member_whose_client_left_is_done_all_the_same_and_others_are_not_touched(
    stage: Gather[str, str], gate: asyncio.Event, seen: list[list[str]]
) -> None:
    running, stays = await submit(stage, "running", "stays")
    [waiting] = await submit(stage, "waiting")

    running.cancel()
    waiting.cancel()
    await turn()
    gate.set()

    found = await outcomes([running, stays, waiting])
    assert [type(f) for f in found] == [asyncio.CancelledError, str, asyncio.CancelledError]
    assert sorted(member for group in seen for member in group) == ["running", "stays", "waiting"]


async def test_an_outage_is_tried_once_more_before_it_is_told() -> None:
    calls: list[int] = []

    async def run(group: Sequence[str]) -> list[str]:
        calls.append(len(group))
        if len(calls) == 1:
            raise Unavailable("cut")
        return list(group)

    assert await outcomes(await submit(gathered(run), "a", "b")) == ["a", "b"]
    assert calls == [2, 2]


async def test_in_an_outage_every_request_gets_an_exception_of_its_own() -> None:
    async def run(_: Sequence[str]) -> list[str]:
        raise Unavailable("away")

    found = await outcomes(await submit(gathered(run), *"abcd"))

    assert [(type(f), str(f)) for f in found] == [(Unavailable, "away")] * 4
    assert len({id(f) for f in found}) == 4
    # A shared one would collect the frames of all who raise it.
    depths = [len(traceback.extract_tb(f.__traceback__)) for f in found if isinstance(f, Exception)]
    assert len(set(depths)) == 1


async def test_a_group_is_nobodys_request_and_nobodys_trace(gate: asyncio.Event) -> None:
    told: list[str | None] = []

    async def run(group: Sequence[str]) -> list[str]:
        told.append(trace.trace_id())
        await gate.wait()
        return list(group)

    with trace.following(None):
        tasks = await submit(gathered(run), "a")
    gate.set()

    await outcomes(tasks)
    assert told == [None]


async def test_who_would_wait_behind_too_many_is_told_to_come_back(
    stage: Gather[str, str], gate: asyncio.Event
) -> None:
    running = await submit(stage, *"abcd")
    waiting = await submit(stage, *(str(n) for n in range(WAITING_MAX)))

    [refused] = await outcomes(await submit(stage, "too many"))
    gate.set()

    assert isinstance(refused, Unavailable)
    assert await outcomes(running + waiting) == [*"ABCD", *(str(n) for n in range(WAITING_MAX))]
    assert await outcomes(await submit(stage, "later")) == ["LATER"]


async def test_who_has_waited_too_long_is_told_to_come_back_and_the_others_are_done(
    gate: asyncio.Event, seen: list[list[str]]
) -> None:
    async def run(group: Sequence[str]) -> list[str]:
        seen.append(list(group))
        await gate.wait()
        return list(group)

    stage: Gather[str, str] = Gather(
        "tests", run, group_max=GROUP_MAX, waiting_max=WAITING_MAX, wait_max_s=0.5
    )
    (first,) = await submit(stage, "first")
    late = await submit(stage, *(f"late-{n}" for n in range(GROUP_MAX + 1)))
    asyncio.get_running_loop().call_later(0.6, gate.set)

    refused = await asyncio.gather(*late, return_exceptions=True)
    (fresh,) = await submit(stage, "fresh")

    assert await first == "first"
    assert {type(each) for each in refused} == {Unavailable}
    assert await fresh == "fresh"
    assert seen == [["first"], ["fresh"]]


async def test_what_is_done_is_not_kept() -> None:
    async def run(group: Sequence[frozenset[str]]) -> list[int]:
        return [len(member) for member in group]

    stage = Gather("tests", run, group_max=GROUP_MAX, waiting_max=WAITING_MAX)
    member = frozenset({"a", "b"})
    kept = weakref.ref(member)

    assert await stage.submit(member) == 2
    del member
    await turn()
    gc.collect()

    assert kept() is None
