"""What supervised programs say, kept and waited for."""

import asyncio

# Only a failure waits this long, a machine that is busy with other tests included.
WITHIN_S = 60.0


class Hearing:
    """A `Say` that remembers, and wakes whoever waits for a line."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._changed = asyncio.Event()

    def __call__(self, name: str, line: str) -> None:
        self.lines.append((name, line))
        self._changed.set()

    def all_with(self, part: str) -> list[str]:
        return [line for _, line in self.lines if part in line]

    async def until(self, part: str, times: int = 1) -> str:
        """Wait until lines with that part were heard so often, and return the last of them."""
        async with asyncio.timeout(WITHIN_S):
            while len(found := self.all_with(part)) < times:
                self._changed.clear()
                await self._changed.wait()
        return found[-1]
