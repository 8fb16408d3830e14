"""Notifications: the mail that a customer gets of an order's fate."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from domain.event import CancelReason
from domain.mail import Mail
from domain.money import Money
from domain.task import Notice

# Currencies whose minor unit is not a hundredth (ISO 4217).
MINOR_DIGITS: Mapping[str, int] = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0,
    "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}  # fmt: skip

BECAUSE = {
    CancelReason.CUSTOMER: "as you asked",
    CancelReason.OUT_OF_STOCK: "because we do not have enough of what you ordered",
    CancelReason.PAYMENT_DECLINED: "because your payment was declined",
    CancelReason.EXPIRED: "because it was not paid in time",
    CancelReason.STAFF: "by our staff",
    CancelReason.FRAUD: "by our staff",
}


class Position(msgspec.Struct, frozen=True):
    """A line of an order as a mail shows it."""

    name: str
    quantity: int
    amount: Money


class Told(msgspec.Struct, frozen=True):
    """An order as a mail tells of it."""

    order_id: UUID
    email: str
    total: Money
    cancel_reason: CancelReason | None
    positions: Sequence[Position]
    extras: Sequence[tuple[str, Money]] = ()  # what the total has beside them


def mail(notice: Notice, told: Told) -> Mail:
    """Write a mail; its message id is the same however often it is written."""
    if notice is Notice.ORDER_CONFIRMED:
        subject, opening = "Your order is confirmed", "Thank you. Your payment has arrived."
    elif notice is Notice.ORDER_BACKORDERED:
        subject = "Your order waits for stock"
        opening = (
            "Thank you. We do not have all of it yet, and keep for you what comes in. No money is"
            " taken before; until then you may cancel."
        )
    else:
        because = BECAUSE[told.cancel_reason or CancelReason.STAFF]
        subject = "Your order is cancelled"
        opening = f"Your order was cancelled {because}. Whatever you have paid goes back to you."
    lines = [f"{p.quantity} x {p.name}: {amount(p.amount)}" for p in told.positions]
    extras = [f"{name}: {amount(money)}" for name, money in told.extras]
    text = "\n".join(
        [
            opening,
            "",
            *lines,
            *extras,
            "",
            f"Total: {amount(told.total)}",
            f"Order {told.order_id}",
            "",
        ]
    )
    return Mail(f"{told.order_id}.{notice}@orderflow", told.email, subject, text)


def extras(
    currency: str, *, discount_minor: int, shipping_minor: int, tax_minor: int, tax_included: bool
) -> list[tuple[str, Money]]:
    """Name what an order costs, or costs less, beside its lines."""
    named = {
        "Discount": -discount_minor,
        "Shipping": shipping_minor,
        "Tax, contained" if tax_included else "Tax": tax_minor,
    }
    return [(name, Money(minor, currency)) for name, minor in named.items() if minor]


def amount(money: Money) -> str:
    """Write an amount for people, e.g. 1,212.30 GBP."""
    if money.minor < 0:
        return f"-{amount(-money)}"
    digits = MINOR_DIGITS.get(money.currency, 2)
    if digits == 0:
        return f"{money.minor:,} {money.currency}"
    whole, part = divmod(money.minor, 10**digits)
    return f"{whole:,}.{part:0{digits}} {money.currency}"
