"""A breaker at a clock that stands still, and calls that end when the test says so."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest

from domain.payment import Declined, Outcome, Succeeded, Unknown, Unsent
from ops.config import Settings
from workers.breaker import Breaker, Refused, guarded

SUCCEEDED = Succeeded("ch_1")
DECLINED = Declined("card_declined")
UNKNOWN = Unknown("The gateway did not answer in time.")
UNSENT = Unsent("429")

Call = asyncio.Task[Outcome | Refused]


class World(msgspec.Struct):
    """The time a breaker reads, what it told, and how often the gateway was asked."""

    now_s: float = 1000.0
    changes: list[tuple[str, str, str]] = msgspec.field(default_factory=list)
    asked: int = 0
    arrived: asyncio.Semaphore = msgspec.field(default_factory=lambda: asyncio.Semaphore(0))

    def breaker(self, gateway: str = "stripe", **settings: Any) -> Breaker:
        def on_change(gateway: str, old: str, new: str) -> None:
            self.changes.append((gateway, old, new))

        return Breaker(gateway, Settings(**settings), on_change=on_change, clock=lambda: self.now_s)

    async def opened(self, gateway: str = "stripe") -> Breaker:
        breaker = self.breaker(gateway)
        _ = await self.run(breaker, [UNKNOWN] * breaker.fail_max)
        assert breaker.is_open()
        return breaker

    async def run(self, breaker: Breaker, outcomes: Sequence[Outcome]) -> list[Outcome | Refused]:
        """Make calls one after the other."""
        return [await guarded(breaker, self._answering(outcome)) for outcome in outcomes]

    def _answering(self, outcome: Outcome) -> Callable[[], Awaitable[Outcome]]:
        async def call() -> Outcome:
            self.asked += 1
            return outcome

        return call

    async def begin(
        self, breaker: Breaker, outcome: Outcome, *, until: asyncio.Event, calls: int = 1
    ) -> list[Call]:
        """Begin calls that have all reached the gateway and wait there."""

        async def call() -> Outcome:
            self.asked += 1
            self.arrived.release()
            _ = await until.wait()
            return outcome

        begun = [asyncio.create_task(guarded(breaker, call)) for _ in range(calls)]
        for _ in begun:
            _ = await self.arrived.acquire()
        return begun

    def moves(self) -> list[str]:
        return [new for _, _, new in self.changes]


@pytest.fixture
def world() -> World:
    return World()


async def cancelled(calls: Sequence[Call]) -> None:
    """Cancel calls and see them end by that."""
    assert all(call.cancel() for call in calls)
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(end) for end in ends} == {asyncio.CancelledError}
