"""Group commit: requests that come while one group is being written are the next group."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

from db.engine import Unavailable
from db.groups import in_halves
from ops.telemetry import metrics

# Connections that broke while they were idle fail at once, and new ones may work. What took
# longer has waited already, e.g. for a free connection: the client is told to come back.
REPEAT_WITHIN_S = 1.0

# A client waits some seconds. Who has waited longer than this for a group, in an outage or under
# more load than can be borne, is told to come back: the room is for those who are still there.
WAIT_MAX_S = 2.0

Member = TypeVar("Member")
Result = TypeVar("Result")


class Gather(Generic[Member, Result]):
    """Runs members of concurrent requests through `run`, which does a group in one transaction.

    There is no timer: a member that finds no group under way goes at once. What `run` returns
    as an exception, or fails with for one member alone, is raised in that request only.
    """

    def __init__(
        self,
        stage: str,
        run: Callable[[Sequence[Member]], Awaitable[Sequence[Result | Exception]]],
        *,
        group_max: int,
        waiting_max: int,
        wait_max_s: float = math.inf,
    ) -> None:
        self._size = metrics.group_size.labels(stage=stage)
        self._duration = metrics.group_duration.labels(stage=stage)
        self._run = run
        self._group_max = group_max
        self._waiting_max = waiting_max
        self._wait_max_s = wait_max_s
        # Each with the time at which it came.
        self._waiting: list[tuple[Member, asyncio.Future[Result], float]] = []
        self._runner: asyncio.Task[None] | None = None

    async def submit(self, member: Member) -> Result:
        """Have a member done; raises what it failed with, Unavailable in an outage or a jam."""
        if len(self._waiting) >= self._waiting_max:
            raise Unavailable(f"There are {self._waiting_max} requests waiting already.")
        clock = asyncio.get_running_loop()
        done: asyncio.Future[Result] = clock.create_future()
        self._waiting.append((member, done, clock.time()))
        if self._runner is None:
            # The group is not the work of the request that happens to start it, so neither
            # its trace nor its log fields are that request's.
            self._runner = asyncio.create_task(self._run_all(), context=Context())
        return await done

    async def _run_all(self) -> None:
        try:
            while self._waiting:
                group = self._take_group()
                if group:
                    self._size.observe(len(group))
                    with self._duration.time():
                        await self._run_group(group)
        finally:
            self._runner = None

    def _take_group(self) -> list[tuple[Member, asyncio.Future[Result]]]:
        """Take who waited longest; those who waited too long are refused."""
        late = asyncio.get_running_loop().time() - self._wait_max_s
        group: list[tuple[Member, asyncio.Future[Result]]] = []
        taken = 0
        for member, done, since in self._waiting:
            if len(group) == self._group_max:
                break
            taken += 1
            if since >= late:
                group.append((member, done))
            elif not done.done():
                done.set_exception(Unavailable("It waited too long for those before it."))
        del self._waiting[:taken]
        return group

    async def _run_group(self, group: Sequence[tuple[Member, asyncio.Future[Result]]]) -> None:
        members = [member for member, _ in group]
        try:
            results = await self._twice(members)
        except Unavailable as outage:
            # One for each: a shared exception would collect the frames of all who raise it.
            results = [Unavailable(outage.detail) for _ in members]
        for (_, done), result in zip(group, results, strict=True):
            if done.done():
                continue
            if isinstance(result, Exception):
                done.set_exception(result)
            else:
                done.set_result(result)

    async def _twice(self, members: Sequence[Member]) -> list[Result | Exception]:
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            return await in_halves(members, self._run)
        except Unavailable:
            if clock() - started > REPEAT_WITHIN_S:
                raise
            # Idempotency keys make a second run safe, whether or not the first committed.
            return await in_halves(members, self._run)
