"""What is asked of a payment gateway and what may come of it."""

from typing import Protocol
from uuid import UUID

import msgspec

from domain.money import Money


class Charge(msgspec.Struct, frozen=True):
    """One authorize-and-capture; `attempt_id` is its idempotency key and our reference."""

    attempt_id: UUID
    order_id: UUID
    amount: Money
    payment_method: str


class Refund(msgspec.Struct, frozen=True):
    """Money back for a capture; `attempt_id` is the gateway's idempotency key."""

    attempt_id: UUID
    order_id: UUID
    amount: Money
    gateway_ref: str  # of the captured charge


class Succeeded(msgspec.Struct, frozen=True):
    """The gateway did it, for exactly the amount asked."""

    gateway_ref: str


class Declined(msgspec.Struct, frozen=True):
    """The gateway's definite no: nothing was or will be charged for this attempt."""

    code: str


class Unknown(msgspec.Struct, frozen=True):
    """Nobody can say yet: timeout, reset, 5xx, an unreadable or a mismatching answer."""

    reason: str


class Unsent(msgspec.Struct, frozen=True):
    """Provably never reached the gateway's books: no connection, or 429. Safe to try again."""

    reason: str


Outcome = Succeeded | Declined | Unknown | Unsent


class Gateway(Protocol):
    """An adapter to one gateway. It never raises for what the network or the gateway does."""

    name: str

    async def charge(self, charge: Charge) -> Outcome:
        """Authorize and capture, keyed by `attempt_id`; asking twice charges once."""
        ...

    async def find_charge(self, charge: Charge) -> Outcome | None:
        """Look the charge up by our reference; None if the gateway does not know it."""
        ...

    async def refund(self, refund: Refund) -> Outcome:
        """Refund, keyed by `attempt_id`; asking twice refunds once."""
        ...

    async def close(self) -> None:
        """Give back the connections."""
        ...
