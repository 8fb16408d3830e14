"""Load: more work than can be done in time is refused at once, and none goes on for ever."""

import asyncio
from collections.abc import Collection, Mapping
from typing import final

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.answers import refuse
from api.problems import problem
from ops.telemetry import activity

_NONE: Mapping[str, float] = {}


@final
class Bounded:
    """Bounds how many requests are under way, and how long each is.

    What is refused (503) was not begun. What is given up (504) may have happened: its
    transaction is rolled back unless it was being committed, and a group that it was part of
    goes on. The same Idempotency-Key finds out.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        at_once_max: int,
        timeout_s: float,
        exempt: Collection[str],
        longer: Mapping[str, float] = _NONE,
    ) -> None:
        """Let requests to the paths in `exempt` always in: probes must see through a flood.

        Those in `longer` have a time of their own: their bodies take long to come.
        """
        self._app = app
        self._at_once_max = at_once_max
        self._timeout_s = timeout_s
        self._longer = longer
        self._exempt = frozenset(exempt)
        self._under_way = 0
        activity.count_of("requests", lambda: self._under_way)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._exempt:
            await self._app(scope, receive, send)
        elif self._under_way >= self._at_once_max:
            await refuse(send, problem("overloaded"))
        else:
            self._under_way += 1
            try:
                await self._in_time(scope, receive, send)
            finally:
                self._under_way -= 1

    async def _in_time(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = False
        within = asyncio.timeout(self._longer.get(scope["path"], self._timeout_s))

        async def watched(message: Message) -> None:
            nonlocal began
            began = True
            if message.get("more_body"):
                # A stream, e.g. of events, lasts as long as its reader likes.
                within.reschedule(None)
            await send(message)

        try:
            async with within:
                await self._app(scope, receive, watched)
        except TimeoutError:
            if began or not within.expired():
                raise
            await refuse(send, problem("timed_out"))
