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


class OrderBackordered(_Fact, frozen=True, tag="order_backordered"):
    """All of it is promised; it waits for what is `short`, or for one place to have all of it."""

    short: tuple[Short, ...] = ()
    scattered: bool = False


class OrderPaid(_Fact, frozen=True, tag="order_paid"):
    attempt_id: UUID
    gateway_ref: str
    amount_minor: int


class PaymentAuthorized(_Fact, frozen=True, tag="payment_authorized"):
    """The money is held for us; captures take it."""

    attempt_id: UUID
    gateway_ref: str
    amount_minor: int


class PaymentDeclined(_Fact, frozen=True, tag="payment_declined"):
    """The order keeps its stock until `reserved_until`, for another payment method."""

    attempt_id: UUID
    code: str


class PaymentMethodChanged(_Fact, frozen=True, tag="payment_method_changed"):
    pass


class PaymentActionRequired(_Fact, frozen=True, tag="payment_action_required"):
    """The customer has to authenticate the payment."""

    attempt_id: UUID


class PaymentUnknown(_Fact, frozen=True, tag="payment_unknown"):
    """The gateway's answer did not come or cannot be believed; it is being looked up."""

    attempt_id: UUID
    reason: str
    operation: str = "charge"


class PaymentInReview(_Fact, frozen=True, tag="payment_in_review"):
    """The gateway's answer is still open after its window; a person decides."""

    attempt_id: UUID
    reason: str


class PaymentResolved(_Fact, frozen=True, tag="payment_resolved"):
    """A person decided what the gateway could not say; `evidence` is what there was to see."""

    attempt_id: UUID
    outcome: str
    note: str
    actor: str
    evidence: str


class LatePayment(_Fact, frozen=True, tag="late_payment"):
    """The order was cancelled before its payment came through; the money goes back."""

    attempt_id: UUID
    gateway_ref: str
    amount_minor: int


class PaymentRequested(_Fact, frozen=True, tag="payment_requested"):
    """Somebody asked for a capture, a void or a refund."""

    attempt_id: UUID
    operation: str
    amount_minor: int
    actor: str
    reason: str | None = None


class PaymentCaptured(_Fact, frozen=True, tag="payment_captured"):
    attempt_id: UUID
    amount_minor: int


class PaymentVoided(_Fact, frozen=True, tag="payment_voided"):
    """What was authorized and not captured is the customer's again."""

    attempt_id: UUID
    amount_minor: int


class PaymentRefunded(_Fact, frozen=True, tag="payment_refunded"):
    attempt_id: UUID
    amount_minor: int
    reason: str | None = None


class PaymentRefused(_Fact, frozen=True, tag="payment_refused"):
    """The gateway's definite no to a capture, a void or a refund."""

    attempt_id: UUID
    operation: str
    code: str


class PaymentWrittenOff(_Fact, frozen=True, tag="payment_written_off"):
    """A person says by what means, other than ours, the customer got the money back."""

    attempt_id: UUID
    amount_minor: int
    means: str
    note: str
    actor: str


class AuthorizationExpired(_Fact, frozen=True, tag="authorization_expired"):
    """What was authorized was not captured in time."""

    attempt_id: UUID
    amount_minor: int


class PaymentDisputed(_Fact, frozen=True, tag="payment_disputed"):
    """The customer has asked the bank for the money back."""

    dispute_ref: str
    amount_minor: int
    reason: str


class OrderShipped(_Fact, frozen=True, tag="order_shipped"):
    pass


class OrderCancelled(_Fact, frozen=True, tag="order_cancelled"):
    """`short` names the SKUs that were missing, when stock was the reason."""

    reason: CancelReason
    detail: str | None = None
    short: tuple[Short, ...] = ()


Event = (
    OrderPlaced
    | StockReserved
    | OrderBackordered
    | OrderPaid
    | PaymentAuthorized
    | PaymentDeclined
    | PaymentMethodChanged
    | PaymentActionRequired
    | PaymentUnknown
    | PaymentInReview
    | PaymentResolved
    | LatePayment
    | PaymentRequested
    | PaymentCaptured
    | PaymentVoided
    | PaymentRefunded
    | PaymentRefused
    | PaymentWrittenOff
    | AuthorizationExpired
    | PaymentDisputed
    | OrderShipped
    | OrderCancelled
)


def kind(event: Event) -> str:
    """Name of the event as it is stored."""
    return str(event.__struct_config__.tag)
