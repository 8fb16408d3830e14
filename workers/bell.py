"""What a ring sets off in a process: one drain per stage, however often it rings."""

import asyncio
from collections.abc import Awaitable, Callable

# Works off a stage until nothing is due, and asks the bell whether it rang meanwhile.
Drain = Callable[["Bell"], Awaitable[None]]


class Bell:
    """Lets one drain run at a time; a ring that finds it running makes it look once more.

    `rung` is set while there may be work that the running drain has not looked for.
    """

    def __init__(
        self,
        drain: Drain,
        *,
        invite: Callable[[], None] = lambda: None,
    ) -> None:
        """`invite` rings other processes: there is more than this one can do at once."""
        self._drain = drain
        self._draining = False
        self.invite = invite
        self.rung = asyncio.Event()
        self.stopping = False

    async def answer(self) -> None:
        """Drain the stage, or tell the drain that runs already to go on."""
        self.rung.set()
        if self._draining:
            return
        self._draining = True
        try:
            while self.rung.is_set() and not self.stopping:
                await self._drain(self)
        finally:
            self._draining = False

    def hear(self) -> bool:
        """Have the running drain look for work; False if none runs that takes any on."""
        if self.stopping or not self._draining:
            return False
        self.rung.set()
        return True

    def stop(self) -> None:
        """Take on no more work; what is under way is ended."""
        self.stopping = True
        self.rung.set()
