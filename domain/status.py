"""The states of an order and the moves between them."""

from collections.abc import Mapping
from enum import StrEnum


class Status(StrEnum):
    PLACED = "placed"  # accepted and durable; nothing is held
    BACKORDERED = "backordered"  # waits for stock the customer agreed to wait for
    RESERVED = "reserved"  # stock is held
    REVIEW = "review"  # the gateway's answer is unknown past its window; a person decides
    PAID = "paid"  # money is captured, stock is committed
    SHIPPED = "shipped"  # every open line is with a carrier
    DELIVERED = "delivered"  # the customer has it
    RETURNED = "returned"  # everything came back and was refunded
    CANCELLED = "cancelled"  # nothing held, net money zero; cancel_reason says why


MOVES: Mapping[Status, frozenset[Status]] = {
    Status.PLACED: frozenset({Status.RESERVED, Status.BACKORDERED, Status.CANCELLED}),
    Status.BACKORDERED: frozenset({Status.RESERVED, Status.CANCELLED}),
    Status.RESERVED: frozenset({Status.PAID, Status.REVIEW, Status.CANCELLED}),
    Status.REVIEW: frozenset({Status.PAID, Status.CANCELLED}),
    Status.PAID: frozenset({Status.SHIPPED, Status.CANCELLED}),
    Status.SHIPPED: frozenset({Status.DELIVERED, Status.RETURNED}),
    Status.DELIVERED: frozenset({Status.RETURNED}),
    Status.RETURNED: frozenset(),
    Status.CANCELLED: frozenset(),
}
