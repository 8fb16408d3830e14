"""A door before a stand-in of the outside: calls pass it, or stand before it as a test says."""

import asyncio
from uuid import UUID

from tests.waiting import eventually


class Door:
    """Lets calls through; shut, it keeps them until it is opened or they hang up."""

    def __init__(self) -> None:
        self.waiting: set[UUID] = set()
        self._shut_for: frozenset[UUID] | None = frozenset()  # None: for all
        self._moved = asyncio.Condition()

    def shut(self, *order_ids: UUID) -> None:
        """Keep the calls for these orders, or all calls."""
        self._shut_for = frozenset(order_ids) or None

    async def open(self) -> None:
        """Let everybody through, those who wait as well."""
        self._shut_for = frozenset()
        async with self._moved:
            self._moved.notify_all()

    async def until_waiting(self, calls: int = 1) -> None:
        """Return when so many calls stand before the door."""

        async def full() -> bool:
            return len(self.waiting) >= calls

        await eventually(full)

    async def passed(self, order_id: UUID) -> None:
        self.waiting.add(order_id)
        try:
            async with self._moved:
                await self._moved.wait_for(lambda: not self._keeps(order_id))
        finally:
            self.waiting.discard(order_id)

    def _keeps(self, order_id: UUID) -> bool:
        return self._shut_for is None or order_id in self._shut_for
