"""One rendering for all who watch a page, and to each only what changed since they last heard."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from domain.refusal import NotFound
from ops.dashboard.live import Fragments, Live, TooManyWatch

DEADLINE_S = 20
KEY = ("/ops", "", "ops")


class Source:
    """A page with two fragments."""

    def __init__(self) -> None:
        self.rendered = 0
        self.shown = {"a": "1", "b": "1"}
        self.fails = False

    async def render(self) -> Fragments:
        self.rendered += 1
        if self.fails:
            raise NotFound("It is gone.")
        return dict(self.shown)


async def yes() -> bool:
    return True


@pytest.fixture
async def live() -> AsyncGenerator[Live]:
    made = Live(clients_max=10, every_s=0.01, ask_again_s=0.05, keep_alive_s=0.1)
    yield made
    await made.close()


def watch(
    live: Live, source: Source, *, last_id: str = "", still_there: Any = yes
) -> AsyncGenerator[str]:
    return live.stream(KEY, source.render, last_id=last_id, still_there=still_there)


async def until(stream: AsyncGenerator[str], enough: Callable[[str], bool]) -> str:
    """Read until enough was said."""
    said = ""
    async with asyncio.timeout(DEADLINE_S):
        async for text in stream:
            said += text
            if enough(said):
                break
    return said


def fragments(said: str) -> list[tuple[str, str]]:
    """Name the fragments of a stream in order."""
    events = [
        dict(line.split(": ", 1) for line in event.splitlines() if not line.startswith(":"))
        for event in said.split("\n\n")
    ]
    told = [json.loads(event["data"]) for event in events if event.get("event") == "fragment"]
    return [(one["id"], one["html"]) for one in told]


def last_id(said: str) -> str:
    return said.rpartition("id: ")[2].partition("\n")[0]


def both(said: str) -> bool:
    return len(fragments(said)) >= 2


async def test_first_everything_comes_then_only_what_changed(live: Live) -> None:
    source = Source()
    stream = watch(live, source)

    first = await until(stream, both)
    source.shown["b"] = "2"
    then = await until(stream, lambda said: "fragment" in said)

    assert first.startswith("retry: 2000\n\n")
    assert fragments(first) == [("a", "1"), ("b", "1")]
    assert fragments(then) == [("b", "2")]
    await stream.aclose()


async def test_ten_who_watch_cost_one_rendering(live: Live) -> None:
    source = Source()
    streams = [watch(live, source) for _ in range(10)]

    said = await asyncio.gather(*(until(stream, both) for stream in streams))
    rendered_by_one_at_most = source.rendered
    for stream in streams:
        await stream.aclose()

    assert all(fragments(one) == [("a", "1"), ("b", "1")] for one in said)
    assert rendered_by_one_at_most < 10


async def test_who_comes_back_hears_what_was_missed_alone(live: Live) -> None:
    source = Source()
    stays, leaves = watch(live, source), watch(live, source)
    await until(stays, both)
    heard = await until(leaves, both)
    await leaves.aclose()
    source.shown["a"] = "2"
    await until(stays, lambda said: '"html":"2"' in said)

    back = watch(live, source, last_id=last_id(heard))
    said = await until(back, lambda said: "rendered" in said)

    assert fragments(said) == [("a", "2")]
    for stream in (stays, back):
        await stream.aclose()


@pytest.mark.parametrize("strange", ["", "7", "beef-1", "-", "beef-x", "é-1"])
async def test_id_of_another_process_says_nothing(live: Live, strange: str) -> None:
    source = Source()
    stream = watch(live, source, last_id=strange)

    assert fragments(await until(stream, both)) == [("a", "1"), ("b", "1")]
    await stream.aclose()


async def test_reader_that_takes_its_time_misses_what_is_superseded(live: Live) -> None:
    source = Source()
    slow, quick = watch(live, source), watch(live, source)
    await until(slow, both)
    for number in range(5):
        source.shown["a"] = f"v{number}"
        await until(quick, lambda said, n=number: f'"html":"v{n}"' in said)

    said = await until(slow, lambda said: "v4" in said)

    assert [html for name, html in fragments(said) if name == "a"] == ["v4"]
    for stream in (slow, quick):
        await stream.aclose()


async def test_nobody_watches_nobody_renders(live: Live) -> None:
    source = Source()
    stream = watch(live, source)
    await until(stream, both)
    await stream.aclose()
    rendered = source.rendered

    other = Source()
    beside = live.stream(("/ops/x", "", "ops"), other.render, last_id="", still_there=yes)
    await until(beside, lambda said: said.count("rendered") >= 3)

    assert source.rendered <= rendered + 1
    await beside.aclose()


async def test_stream_ends_for_who_may_not_see_it_any_more(live: Live) -> None:
    async def no() -> bool:
        return False

    async with asyncio.timeout(DEADLINE_S):
        said = "".join([text async for text in watch(live, Source(), still_there=no)])

    assert "fragment" in said


async def test_page_that_cannot_be_read_stands_still_and_the_line_is_kept(live: Live) -> None:
    source = Source()
    stream = watch(live, source)
    await until(stream, both)

    source.fails = True
    quiet = await until(stream, lambda said: ": keep-alive" in said)
    source.fails, source.shown = False, {"a": "3", "b": "1"}
    then = await until(stream, lambda said: "fragment" in said)

    assert fragments(quiet) == []
    assert fragments(then) == [("a", "3")]
    await stream.aclose()


async def test_one_too_many_is_refused_until_another_leaves(live: Live) -> None:
    streams = [watch(live, Source()) for _ in range(10)]
    for stream in streams:
        await anext(stream)

    with pytest.raises(TooManyWatch):
        live.reserve()
    await streams[0].aclose()
    live.reserve()
    for stream in streams:
        await stream.aclose()


async def test_all_streams_end_when_the_process_stops(live: Live) -> None:
    stream = watch(live, Source())
    await until(stream, both)

    await live.close()
    async with asyncio.timeout(DEADLINE_S):
        rest = [text async for text in stream]

    assert len(rest) <= 1
    with pytest.raises(TooManyWatch):
        live.reserve()
