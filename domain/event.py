"""The facts of an order's timeline; `kind` tells them apart in the database and in JSON."""

from enum import StrEnum
from uuid import UUID

import msgspec

from domain.stock import Short


class CancelReason(StrEnum):
    CUSTOMER = "customer"
    OUT_OF_STOCK = "out_of_stock"
    PAYMENT_DECLINED = "payment_declined"
    EXPIRED = "expired"
    STAFF = "staff"
    FRAUD = "fraud"


class _Fact(msgspec.Struct, frozen=True, tag_field="kind", omit_defaults=True):
    pass


class OrderPlaced(_Fact, frozen=True, tag="order_placed"):
    lines: int
    total_minor: int
    currency: str


class StockReserved(_Fact, frozen=True, tag="stock_reserved"):
    pass


class OrderPaid(_Fact, frozen=True, tag="order_paid"):
    attempt_id: UUID
    gateway_ref: str
    amount_minor: int


class PaymentUnknown(_Fact, frozen=True, tag="payment_unknown"):
    """The gateway's answer did not come or cannot be believed; it is being looked up."""

    attempt_id: UUID
    reason: str


class LatePayment(_Fact, frozen=True, tag="late_payment"):
    """The order was cancelled before its payment came through; the money goes back."""

    attempt_id: UUID
    gateway_ref: str
    amount_minor: int


class PaymentRefunded(_Fact, frozen=True, tag="payment_refunded"):
    attempt_id: UUID
    amount_minor: int


class OrderCancelled(_Fact, frozen=True, tag="order_cancelled"):
    """`short` names the SKUs that were missing, when stock was the reason."""

    reason: CancelReason
    detail: str | None = None
    short: tuple[Short, ...] = ()


Event = (
    OrderPlaced
    | StockReserved
    | OrderPaid
    | PaymentUnknown
    | LatePayment
    | PaymentRefunded
    | OrderCancelled
)


def kind(event: Event) -> str:
    """Name of the event as it is stored."""
    return str(event.__struct_config__.tag)
