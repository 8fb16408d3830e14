"""A payment gateway at the edge: it charges once per key, and waits or fails when told to."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from domain.payment import Charge, Declined, Outcome, Refund, Succeeded, Unknown
from tests.waiting import eventually

DECLINED = "pm_card_declined"


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


class Bank:
    """The gateway. `asked` tells every call: its verb and the attempt it was for.

    Calls pass `entrance`, then the money moves, then `exit`, then the answer goes out.
    `answers` are given to the next charges and refunds in place of moving money.
    `answers_lost` counts charges that happen but whose answer does not arrive.
    """

    name = "bank"

    def __init__(self) -> None:
        self.charged: dict[UUID, Charge] = {}
        self.refunded: dict[UUID, Refund] = {}
        self.asked: list[tuple[str, UUID]] = []
        self.answers: deque[Outcome] = deque()
        self.answers_lost = 0
        self.entrance, self.exit = Door(), Door()
        self.closed = False
        self.most_at_once = 0
        self._at_once = 0

    async def charge(self, charge: Charge) -> Outcome:
        async with self._counted("charge", charge.attempt_id):
            await self.entrance.passed(charge.order_id)
            if self.answers:
                return self.answers.popleft()
            if charge.payment_method == DECLINED:
                return Declined("card_declined")
            self.charged.setdefault(charge.attempt_id, charge)
            await self.exit.passed(charge.order_id)
            return self._answer(charge)

    async def find_charge(self, charge: Charge) -> Outcome | None:
        async with self._counted("find", charge.attempt_id):
            return _ref(charge.attempt_id) if charge.attempt_id in self.charged else None

    async def refund(self, refund: Refund) -> Outcome:
        async with self._counted("refund", refund.attempt_id):
            if self.answers:
                return self.answers.popleft()
            self.refunded.setdefault(refund.attempt_id, refund)
            return _ref(refund.attempt_id)

    async def close(self) -> None:
        self.closed = True

    def verbs(self) -> list[str]:
        """What was asked, in order."""
        return [verb for verb, _ in self.asked]

    def takings(self, order_id: UUID) -> list[int]:
        """What was taken for an order, in minor units; refunds are negative."""
        taken = [c.amount.minor for c in self.charged.values() if c.order_id == order_id]
        returned = [-r.amount.minor for r in self.refunded.values() if r.order_id == order_id]
        return taken + returned

    def _answer(self, charge: Charge) -> Outcome:
        if self.answers_lost:
            self.answers_lost -= 1
            return Unknown("The answer was lost.")
        return _ref(charge.attempt_id)

    @asynccontextmanager
    async def _counted(self, verb: str, attempt_id: UUID) -> AsyncGenerator[None]:
        self.asked.append((verb, attempt_id))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            self._at_once -= 1


def _ref(attempt_id: UUID) -> Succeeded:
    return Succeeded(f"bank_{attempt_id.hex}")


@pytest.fixture
def bank() -> Bank:
    return Bank()
