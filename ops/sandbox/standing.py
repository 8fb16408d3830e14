"""How payments, refunds and disputes stand: immutable, so that an answer keeps what it told."""

import msgspec

from ops.sandbox import entries
from ops.sandbox.cards import Decline

SUCCEEDED = "succeeded"
REQUIRES_CAPTURE = "requires_capture"
REQUIRES_ACTION = "requires_action"
REQUIRES_PAYMENT_METHOD = "requires_payment_method"
CANCELED = "canceled"


class Taken(msgspec.Struct, frozen=True):
    """One balance transaction: money that came in, and what of it the gateway keeps."""

    id: str
    charge: str
    at: int
    amount: int
    fee: int
    currency: str


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment after some entry of the ledger."""

    made: entries.PaymentIntent
    status: str
    metadata: dict[str, str]
    decline: Decline | None = None
    taken: tuple[Taken, ...] = ()
    captured: int = 0
    capturable: int = 0
    capture_before: int = 0
    authorized: int = 0
    released: int = 0
    refunded: int = 0
    disputed: int = 0
    canceled_at: int | None = None
    cancellation_reason: str | None = None

    @property
    def id(self) -> str:
        """Its id."""
        return self.made.id

    @property
    def at(self) -> int:
        """Unix time when it was made."""
        return self.made.at

    @property
    def charge(self) -> str:
        """The id of its charge."""
        return charge_of(self.made.id)

    @property
    def refundable(self) -> int:
        """What was captured and not yet given back."""
        return self.captured - self.refunded


class Refund(msgspec.Struct, frozen=True):
    """A refund after some entry of the ledger."""

    made: entries.Refund
    status: str

    @property
    def id(self) -> str:
        """Its id."""
        return self.made.id

    @property
    def at(self) -> int:
        """Unix time when it was made."""
        return self.made.at


class Refused(msgspec.Struct, frozen=True):
    """A refusal, and the payment it speaks of as it stood."""

    made: entries.Refusal
    payment: Payment | None


Standing = Payment | Refund | entries.Dispute | Refused


def charge_of(payment_intent: str) -> str:
    """Return the id of a payment's charge."""
    return "ch_" + payment_intent.removeprefix("pi_")


def made(entry: entries.PaymentIntent) -> Payment:
    """Return a payment as its first entry leaves it."""
    held = entry.amount if entry.status == REQUIRES_CAPTURE else 0
    if entry.status != SUCCEEDED:
        return Payment(
            made=entry,
            status=entry.status,
            metadata=entry.metadata,
            decline=entry.decline,
            capturable=held,
            authorized=held,
            capture_before=entry.capture_before,
        )
    return Payment(
        made=entry,
        status=SUCCEEDED,
        metadata=entry.metadata,
        taken=(_taken(entry, entry.amount, entry),),
        captured=entry.amount,
        authorized=entry.amount,
    )


def authenticated(payment: Payment, entry: entries.Authentication) -> Payment:
    """Return a payment after its customer was asked."""
    asked = payment.made
    succeeded = entry.status == SUCCEEDED
    held = asked.amount if entry.status == REQUIRES_CAPTURE else 0
    return msgspec.structs.replace(
        payment,
        status=entry.status,
        decline=entry.decline,
        taken=(_taken(entry, asked.amount, asked),) if succeeded else (),
        captured=asked.amount if succeeded else 0,
        authorized=asked.amount if succeeded else held,
        capturable=held,
        capture_before=entry.capture_before,
    )


def captured(payment: Payment, entry: entries.Capture) -> Payment:
    """Return a payment after a capture."""
    left = payment.capturable - entry.amount
    ended = entry.final or left == 0
    merged = {name: value for name, value in (payment.metadata | entry.metadata).items() if value}
    taken = (_taken(entry, entry.amount, payment.made),) if entry.amount else ()
    return msgspec.structs.replace(
        payment,
        status=SUCCEEDED if ended else REQUIRES_CAPTURE,
        metadata=merged if entry.metadata else payment.metadata,
        taken=payment.taken + taken,
        captured=payment.captured + entry.amount,
        capturable=0 if ended else left,
        released=payment.released + (left if ended else 0),
    )


def voided(payment: Payment, entry: entries.Void) -> Payment:
    """Return a payment whose held money was released; what was captured before stays."""
    released = payment.released + payment.capturable
    if payment.captured:
        return msgspec.structs.replace(payment, status=SUCCEEDED, capturable=0, released=released)
    return msgspec.structs.replace(
        payment,
        status=CANCELED,
        capturable=0,
        released=released,
        canceled_at=entry.at,
        cancellation_reason=entry.reason,
    )


def _taken(
    entry: entries.PaymentIntent | entries.Authentication | entries.Capture,
    amount: int,
    asked: entries.PaymentIntent,
) -> Taken:
    name = "txn_" + entry.id.partition("_")[2]
    return Taken(name, charge_of(asked.id), entry.at, amount, entry.fee, asked.currency)
