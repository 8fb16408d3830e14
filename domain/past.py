"""The past of an order: its state as of any event, folded from the timeline alone."""

from collections.abc import Iterable, Mapping
from typing import cast
from uuid import UUID

import msgspec

from domain import event
from domain.event import (
    AuthorizationExpired,
    CancelReason,
    Event,
    LatePayment,
    OrderCancelled,
    OrderPaid,
    OrderPlaced,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDisputed,
    PaymentInReview,
    PaymentRefunded,
    PaymentRefused,
    PaymentRequested,
    PaymentUnknown,
    PaymentVoided,
    PaymentWrittenOff,
)
from domain.saga import STOCK_EFFECTS
from domain.status import Status


class Happened(msgspec.Struct, frozen=True):
    """An event as it is folded; one of a kind that is not known here has no fact."""

    status: Status
    fact: Event | None


class Past(msgspec.Struct, frozen=True):
    """An order as it was after an event; amounts in minor units, `stock` as reservations say.

    `waiting` has what was asked of the gateway and not settled, by attempt.
    """

    version: int = 0
    status: Status = Status.PLACED
    total_minor: int = 0
    stock: str = "nothing"
    authorized_minor: int = 0
    captured_minor: int = 0
    refunded_minor: int = 0
    disputed_minor: int = 0
    cancel_reason: CancelReason | None = None
    waiting: Mapping[UUID, str] = {}
    refunds: Mapping[UUID, int] = {}


def happened(kind: str, status: str, data: Mapping[str, object]) -> Happened:
    """Read a row of the timeline; one of another release's kind, or shape, changes no money."""
    try:
        fact = msgspec.convert({**data, "kind": kind}, cast("type[Event]", Event), strict=False)
    except msgspec.ValidationError:
        fact = None
    return Happened(Status(status), fact)


def fold(events: Iterable[Happened], *, manual: bool = False) -> Past:
    """Give an order as it was after its first events.

    `manual` says that its money is authorized first, which a payment that came too late does not
    tell by itself.
    """
    past = Past()
    for one in events:
        effect = STOCK_EFFECTS.get((past.status, one.status))
        past = msgspec.structs.replace(
            past,
            version=past.version + 1,
            status=one.status,
            stock=past.stock if effect is None else effect.reservation or past.stock,
        )
        if one.fact is not None:
            past = _money(past, one.fact, manual=manual)
    return past


def _money(past: Past, fact: Event, *, manual: bool) -> Past:
    """Add what an event says of money, and of what is waited for."""
    match fact:
        case OrderPlaced(total_minor=total):
            return msgspec.structs.replace(past, total_minor=total)
        case OrderCancelled(reason=reason):
            return msgspec.structs.replace(past, cancel_reason=reason)
        case PaymentDisputed(amount_minor=amount):
            return msgspec.structs.replace(past, disputed_minor=past.disputed_minor + amount)
        case PaymentActionRequired() | PaymentUnknown() | PaymentInReview() | PaymentRequested():
            return msgspec.structs.replace(past, waiting=_waiting(past, fact))
        case AuthorizationExpired(amount_minor=amount):
            return _add(past, authorized=-amount)
        case _:
            return _moved(_settled(past, fact), fact, manual=manual)


def _waiting(
    past: Past,
    fact: PaymentActionRequired | PaymentUnknown | PaymentInReview | PaymentRequested,
) -> Mapping[UUID, str]:
    return {**past.waiting, fact.attempt_id: event.kind(fact)}


def _settled(past: Past, fact: Event) -> Past:
    attempt_id = getattr(fact, "attempt_id", None)
    left = {id_: said for id_, said in past.waiting.items() if id_ != attempt_id}
    return msgspec.structs.replace(past, waiting=left)


def _moved(past: Past, fact: Event, *, manual: bool) -> Past:
    match fact:
        case LatePayment() | PaymentAuthorized() if manual:
            return _add(past, authorized=fact.amount_minor)
        case OrderPaid() | LatePayment() | PaymentCaptured():
            return _add(past, captured=fact.amount_minor)
        case PaymentVoided(amount_minor=amount):
            return _add(past, authorized=-amount)
        case PaymentRefunded() | PaymentWrittenOff():
            given = {**past.refunds, fact.attempt_id: fact.amount_minor}
            return msgspec.structs.replace(_add(past, refunded=fact.amount_minor), refunds=given)
        case PaymentRefused(attempt_id) if attempt_id in past.refunds:
            # It had seemed to be through, and failed later.
            left = {id_: n for id_, n in past.refunds.items() if id_ != attempt_id}
            back = past.refunds[attempt_id]
            return msgspec.structs.replace(_add(past, refunded=-back), refunds=left)
        case _:
            return past


def _add(past: Past, *, authorized: int = 0, captured: int = 0, refunded: int = 0) -> Past:
    return msgspec.structs.replace(
        past,
        authorized_minor=past.authorized_minor + authorized,
        captured_minor=past.captured_minor + captured,
        refunded_minor=past.refunded_minor + refunded,
    )
