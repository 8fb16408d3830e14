"""Actors: who caused an event of an order's timeline, and what that was."""

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

import msgspec

from domain.principal import Principal, PrincipalKind


class ActorKind(StrEnum):
    STAFF = "staff"
    CUSTOMER = "customer"
    GUEST = "guest"  # who holds the order's claim token, or placed it without an account
    GATEWAY = "gateway"  # it told us by itself
    CLOCK = "clock"  # a time was over
    WORKER = "worker"


class Actor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who did something; `name` is the role of staff or a gateway, a `key` is a machine's."""

    kind: ActorKind
    id: UUID | None = None
    name: str | None = None
    key: bool = False


CLOCK = Actor(ActorKind.CLOCK)
WORKER = Actor(ActorKind.WORKER)
GUEST = Actor(ActorKind.GUEST)


def actor_of(principal: Principal) -> Actor:
    """Give the actor of what a principal does."""
    key = principal.kind is PrincipalKind.KEY
    if principal.is_staff:
        return Actor(ActorKind.STAFF, principal.user_id, principal.role, key)
    if principal.user_id is not None:
        return Actor(ActorKind.CUSTOMER, principal.user_id, key=key)
    return GUEST


def gateway(name: str) -> Actor:
    """Give the actor of what a gateway tells by itself."""
    return Actor(ActorKind.GATEWAY, name=name)


# What comes from workers has its cause in what it is; nobody writes it down a thousand times.
CAUSES: Mapping[str, str] = {
    "order_placed": "a request",
    "stock_reserved": "its reservation",
    "order_backordered": "a lack of stock",
    "order_paid": "the gateway's answer",
    "payment_authorized": "the gateway's answer",
    "payment_declined": "the gateway's answer",
    "payment_method_changed": "a request",
    "payment_action_required": "the gateway's answer",
    "payment_unknown": "no answer that can be believed",
    "payment_in_review": "no answer in the gateway's window",
    "payment_resolved": "a person's word",
    "late_payment": "the gateway's answer",
    "payment_requested": "a request",
    "payment_captured": "the gateway's answer",
    "payment_voided": "the gateway's answer",
    "payment_refunded": "the gateway's answer",
    "payment_refused": "the gateway's answer",
    "payment_written_off": "a person's word",
    "authorization_expired": "the time it was valid for",
    "payment_disputed": "the gateway's message",
}
_BECAUSE: Mapping[str, str] = {
    "customer": "a request",
    "staff": "a request",
    "fraud": "a request",
    "out_of_stock": "a lack of stock",
    "payment_declined": "the gateway's answer",
    "expired": "a time that was over",
}
# Requests that an old row does not name the sender of.
_ASKED = frozenset({"order_placed", "payment_method_changed"})


def cause(kind: str, data: Mapping[str, object]) -> str:
    """Say what led to an event; of a kind that is not known here, nothing."""
    if kind == "order_cancelled":
        return _BECAUSE.get(str(data.get("reason")), "")
    return CAUSES.get(kind, "")


def presumed(kind: str, data: Mapping[str, object]) -> Actor:
    """Give who caused an event of which nobody was written down: a worker, or of old somebody."""
    said = data.get("actor") or (data.get("reason") if kind == "order_cancelled" else None)
    if said == "staff":
        return Actor(ActorKind.STAFF)
    if said == "customer" or kind in _ASKED:
        return GUEST
    return WORKER
