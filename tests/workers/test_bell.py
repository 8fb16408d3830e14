"""One drain at a time, and no ring that is lost on it."""

import asyncio

import pytest

from workers.bell import Bell


class Drain:
    """Stands for a stage: notes when it looks for work, and ends when told to."""

    def __init__(self) -> None:
        self.looks = 0
        self.looked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, bell: Bell) -> None:
        bell.rung.clear()
        self.looks += 1
        self.looked.set()
        await self.go_on.wait()


@pytest.fixture
def drain() -> Drain:
    return Drain()


@pytest.fixture
def bell(drain: Drain) -> Bell:
    return Bell(drain)


async def test_rings_while_a_drain_runs_make_it_look_once_more(bell: Bell, drain: Drain) -> None:
    first = asyncio.create_task(bell.answer())
    await drain.looked.wait()

    await asyncio.gather(*(bell.answer() for _ in range(5)))
    drain.go_on.set()
    await first

    assert drain.looks == 2


async def test_ring_is_heard_only_while_a_drain_runs(bell: Bell, drain: Drain) -> None:
    assert not bell.hear()

    running = asyncio.create_task(bell.answer())
    await drain.looked.wait()
    heard = bell.hear()
    drain.go_on.set()
    await running

    assert heard
    assert drain.looks == 2
    assert not bell.hear()


async def test_stopping_bell_leaves_rings_to_other_processes(bell: Bell, drain: Drain) -> None:
    running = asyncio.create_task(bell.answer())
    await drain.looked.wait()

    bell.stop()
    heard = bell.hear()
    drain.go_on.set()
    await running
    await bell.answer()

    assert not heard
    assert drain.looks == 1


async def test_drain_that_failed_does_not_keep_the_next_ring_from_being_answered() -> None:
    outcomes = [ZeroDivisionError("a bug"), None]

    async def drain(bell: Bell) -> None:
        bell.rung.clear()
        if failure := outcomes.pop(0):
            raise failure

    bell = Bell(drain)
    with pytest.raises(ZeroDivisionError):
        await bell.answer()
    await bell.answer()

    assert outcomes == []
