"""What is asked of a payment gateway and what may come of it."""

from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec

from domain.money import Money


class Capture(StrEnum):
    """When the money of an order is taken."""

    AUTOMATIC = "automatic"  # with the authorization
    MANUAL = "manual"  # when staff asks for it, whole or in parts


class OnDecline(StrEnum):
    """What becomes of an order whose payment was declined."""

    CANCEL = "cancel"  # it ends
    HOLD = "hold"  # it waits for another payment method until its reservation runs out


class RefundReason(StrEnum):
    """Why money goes back, in the words that gateways know."""

    REQUESTED_BY_CUSTOMER = "requested_by_customer"
    DUPLICATE = "duplicate"
    FRAUDULENT = "fraudulent"


class Charge(msgspec.Struct, frozen=True):
    """An authorization, captured at once unless `capture` is MANUAL."""

    attempt_id: UUID
    order_id: UUID
    amount: Money
    payment_method: str
    capture: Capture = Capture.AUTOMATIC
    named: str | None = None  # what a person says the gateway calls it: to be found by that


class TakeAuthorized(msgspec.Struct, frozen=True):
    """A capture of what was authorized; after the `final` one the rest is released."""

    attempt_id: UUID
    order_id: UUID
    amount: Money
    gateway_ref: str  # of the authorization
    final: bool


class Void(msgspec.Struct, frozen=True):
    """The release of what is authorized and not captured."""

    attempt_id: UUID
    order_id: UUID
    amount: Money  # what is released, as we count it
    gateway_ref: str  # of the authorization


class Refund(msgspec.Struct, frozen=True):
    """Money back of a capture."""

    attempt_id: UUID
    order_id: UUID
    amount: Money
    gateway_ref: str  # of the payment
    reason: RefundReason = RefundReason.REQUESTED_BY_CUSTOMER


# Of each, `attempt_id` is the idempotency key and our reference at the gateway.
Call = Charge | TakeAuthorized | Void | Refund


class Succeeded(msgspec.Struct, frozen=True):
    """The gateway did it, for exactly the amount asked."""

    gateway_ref: str
    fee_minor: int = 0  # what the gateway kept for itself
    expires_at: datetime | None = None  # of an authorization: what is not captured by then is void


class ActionRequired(msgspec.Struct, frozen=True):
    """The customer has to authenticate (3-D Secure); `client_secret` is for nobody else."""

    gateway_ref: str
    client_secret: str


class Declined(msgspec.Struct, frozen=True):
    """The gateway's definite no: nothing was or will be moved for this attempt."""

    code: str


class Unknown(msgspec.Struct, frozen=True):
    """Nobody can say yet: timeout, reset, 5xx, an unreadable or a mismatching answer.

    Or the gateway itself said so, which is `pending` and no fault of its service.
    """

    reason: str
    pending: bool = False


class Unsent(msgspec.Struct, frozen=True):
    """Provably never reached the gateway's books: no connection, or 429. Safe to try again."""

    reason: str


class Held(msgspec.Struct, frozen=True):
    """The call was not made: the gateway's breaker is open, for about `retry_s` more."""

    retry_s: float


Outcome = Succeeded | ActionRequired | Declined | Unknown | Unsent | Held

# The code of an attempt that the gateway's books do not hold after its processing window.
NOT_FOUND = "not_found"
# How the code of a refund begins that came to nothing on its way to the customer's bank.
REFUND_FAILED = "refund_failed"
# The code of an attempt that was not needed any more before it was sent.
WITHDRAWN = "withdrawn"


class Booked(msgspec.Struct, frozen=True):
    """A payment as the gateway's own books show it now; our references are in it if it is ours."""

    gateway_ref: str
    attempt_id: UUID | None
    order_id: UUID | None
    currency: str
    authorized_minor: int  # what may still be captured
    captured_minor: int
    refunded_minor: int
    created_at: datetime
    fee_minor: int | None = None  # what the gateway kept; None if it does not tell


class Statement(msgspec.Struct, frozen=True):
    """A part of the gateway's books; `cursor` leads to the next part, None at the end."""

    payments: tuple[Booked, ...]
    cursor: str | None


class Gateway(Protocol):
    """An adapter to one gateway. It never raises for what the network or the gateway does."""

    name: str

    async def execute(self, call: Call) -> Outcome:
        """Do what is asked, keyed by `attempt_id`: asked twice, it happens once."""
        ...

    async def find(self, call: Call) -> Outcome | None:
        """Look a call up by our reference; None if the gateway does not know of it.

        A charge that is `named` is looked up by that, and has to bear our reference.
        """
        ...

    async def abandon(self, call: Charge, gateway_ref: str) -> Outcome:
        """End a charge that waits for the customer; Declined says that it is ended."""
        ...

    async def statement(
        self, since: datetime, until: datetime, cursor: str | None
    ) -> Statement | Unsent | Unknown:
        """Read a part of the payments made or changed in a time, as they are now.

        A part has at most a hundred; one payment may be in several parts.
        """
        ...

    async def booked(self, gateway_ref: str) -> Booked | Unsent | Unknown | None:
        """Read one payment as it is now; None if the gateway does not know of it."""
        ...

    async def close(self) -> None:
        """Give back the connections."""
        ...
