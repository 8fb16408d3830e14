"""Stripe's objects, as far as they are read, and its way of counting money."""

from typing import Annotated

import msgspec
from msgspec import Meta

from domain.money import Money

# Stripe counts these in hundredths although ISO 4217 gives them no minor unit.
_COUNTED_IN_HUNDREDTHS = frozenset({"ISK", "UGX"})

# Seconds since 1970; what a datetime cannot hold is no time.
_Time = Annotated[int, Meta(ge=0, le=253_402_300_799)]


class Problem(msgspec.Struct, frozen=True):
    """Stripe's error object."""

    type: str
    code: str | None = None
    decline_code: str | None = None

    def reason(self) -> str:
        """Give the most exact of its codes."""
        return self.decline_code or self.code or self.type


class Errors(msgspec.Struct, frozen=True):
    error: Problem


class BalanceTransaction(msgspec.Struct, frozen=True):
    amount: int
    currency: str
    fee: int


class Card(msgspec.Struct, frozen=True):
    capture_before: _Time | None = None


class Details(msgspec.Struct, frozen=True):
    card: Card | None = None


class LatestCharge(msgspec.Struct, frozen=True):
    amount_refunded: int
    balance_transaction: BalanceTransaction | str | None = None
    payment_method_details: Details | None = None


class PaymentIntent(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    status: str
    amount: int
    amount_received: int
    amount_capturable: int
    currency: str
    created: _Time
    client_secret: str | None = None
    metadata: dict[str, str] = {}
    last_payment_error: Problem | None = None
    latest_charge: LatestCharge | str | None = None  # whole, if it was asked for so


class RefundMade(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    status: str
    amount: int
    currency: str
    payment_intent: str | None
    failure_reason: str | None = None
    metadata: dict[str, str] = {}


class Payments(msgspec.Struct, frozen=True):
    """A page of a list or of a search."""

    data: list[PaymentIntent]
    has_more: bool = False


class Refunds(msgspec.Struct, frozen=True):
    """A page of a list."""

    data: list[RefundMade]
    has_more: bool = False


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What an event is about: a payment, or what bears the id of one."""

    kind: str = msgspec.field(name="object")
    id: str | None = None
    created: _Time | None = None
    payment_intent: object = None


class EventData(msgspec.Struct, frozen=True):
    about: Subject = msgspec.field(name="object")


class Event(msgspec.Struct, frozen=True):
    id: str
    type: str
    data: EventData


class Events(msgspec.Struct, frozen=True):
    """A page of a list."""

    data: list[Event]
    has_more: bool = False


payment_decoder = msgspec.json.Decoder(PaymentIntent)
payments_decoder = msgspec.json.Decoder(Payments)
refund_decoder = msgspec.json.Decoder(RefundMade)
events_decoder = msgspec.json.Decoder(Events)
refunds_decoder = msgspec.json.Decoder(Refunds)
errors_decoder = msgspec.json.Decoder(Errors)


def counted(money: Money) -> int:
    """Return an amount as Stripe counts it."""
    return money.minor * 100 if money.currency in _COUNTED_IN_HUNDREDTHS else money.minor


def minor(amount: int, currency: str) -> int:
    """Return what Stripe counts in minor units of ISO 4217."""
    return amount // 100 if currency.upper() in _COUNTED_IN_HUNDREDTHS else amount


def cursor(page: Payments | Refunds | Events) -> str | None:
    """Return after which object the next page starts; None if there is none."""
    return page.data[-1].id if page.has_more and page.data else None
