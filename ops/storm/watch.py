"""The auditor at work while the storm rages: safety holds at any instant, not only at its end."""

import asyncio

import msgspec

from db.engine import Busy, Unavailable
from db.invariants import Violation
from ops.local import audit

# Each look is one snapshot of everything; more of them would be load of our own.
_EVERY_S = 5.0


class Watch:
    """What was ever seen broken, each row once, with when that was first."""

    def __init__(self, url: str) -> None:
        self.looks = 0
        self._audited = audit.database(url)
        self._broken: dict[tuple[str, str], Violation] = {}

    @property
    def broken(self) -> list[Violation]:
        """All that was seen broken."""
        return list(self._broken.values())

    async def keep(self) -> None:
        """Look again and again until cancelled; a database that is away is no violation."""
        clock = asyncio.get_running_loop()
        began = clock.time()
        try:
            while True:
                await self._look(clock.time() - began)
                await asyncio.sleep(_EVERY_S)
        finally:
            await self._audited.engine.dispose()

    async def _look(self, at_s: float) -> None:
        try:
            found = await audit.check(self._audited)
        except (Busy, Unavailable):
            return
        self.looks += 1
        for violation in found:
            told = msgspec.structs.replace(
                violation, detail=f"{violation.detail} (after {at_s:.0f} s)"
            )
            self._broken.setdefault((violation.invariant, violation.subject), told)
