"""Writing off: money of a cancelled order that went back otherwise than we asked the gateway."""

from enum import StrEnum
from uuid import UUID

import msgspec

from domain import order
from domain.event import PaymentWrittenOff
from domain.funds import (
    TAKING,
    Attempt,
    AttemptKind,
    AttemptState,
    MoneyUnavailable,
    Payable,
    PaymentOpen,
    funds,
)
from domain.ledger import ELSEWHERE
from domain.order import Change, IllegalMove, Order
from domain.status import Status


class Means(StrEnum):
    """How the money went back."""

    GATEWAY = "gateway"  # a person refunded it at the gateway, whose cash it was
    BANK_TRANSFER = "bank_transfer"
    DISPUTE = "dispute"  # the customer's bank took it back


class WriteOff(msgspec.Struct, frozen=True):
    """What a person says went back, and how they know."""

    amount_minor: int
    means: Means
    note: str
    actor: str


class Written(msgspec.Struct, frozen=True):
    """What is to be written; `over` says that nothing is left to be given back."""

    attempt: Attempt
    change: Change
    withdrawn: tuple[UUID, ...]  # refunds that never were sent
    over: bool


def write_off(
    was: Order, payable: Payable, attempt_id: UUID, said: WriteOff, *, returning: bool
) -> Written:
    """Count what went back by other means as refunded, never more than is left with us.

    `returning` says that work is under way that gives it back. Raises IllegalMove, PaymentOpen or
    MoneyUnavailable.
    """
    if was.status is not Status.CANCELLED:
        raise IllegalMove(
            f"Only a cancelled order's money is written off: this one is {was.status}."
        )
    if returning or payable.unsettled():
        raise PaymentOpen("The gateway is still asked to give the money back: wait for its answer.")
    unsent = [a for a in payable.attempts if _is_unsent(a)]
    left = funds([a for a in payable.attempts if a not in unsent]).refundable
    if not 0 < said.amount_minor <= left:
        raise MoneyUnavailable(
            f"{left} {payable.total.currency} in minor units are left to be given back.",
            field="amount_minor",
        )
    gateway = _gateway(payable) if said.means is Means.GATEWAY else ELSEWHERE
    attempt = Attempt(
        attempt_id, AttemptKind.REFUND, AttemptState.CREATED, said.amount_minor, gateway
    )
    event = PaymentWrittenOff(
        attempt_id, said.amount_minor, said.means.value, said.note, said.actor
    )
    return Written(
        attempt,
        order.append(was, event),
        tuple(a.id for a in unsent),
        over=said.amount_minor == left,
    )


def _gateway(payable: Payable) -> str:
    paid = (a for a in payable.attempts if a.kind in TAKING and a.state is AttemptState.SUCCEEDED)
    return next(paid).gateway


def _is_unsent(attempt: Attempt) -> bool:
    return attempt.kind is AttemptKind.REFUND and attempt.state is AttemptState.CREATED
