"""Redemptions: how often discounts were given, in all and to one customer."""

from collections.abc import Mapping
from uuid import UUID

import msgspec

from domain.discount import Discount


class Customer(msgspec.Struct, frozen=True):
    """Who redeems: by account and by mailbox, as far as these are known.

    Either makes two orders one customer's. Else whoever leaves the account out, or writes the
    address in another way, would be a new one. Somebody who names the address of another uses up
    their discount only by paying for an order: one that is not paid gives it back.
    """

    user_id: UUID | None
    mailbox: str | None

    def is_same(self, other: "Customer") -> bool:
        """Tell whether two are most likely one person."""
        same_account = self.user_id is not None and self.user_id == other.user_id
        return same_account or (self.mailbox is not None and self.mailbox == other.mailbox)


class Uses:
    """What is left of discounts while some orders are decided on, one after the other."""

    def __init__(
        self, left: Mapping[UUID, int], given: Mapping[tuple[UUID, Customer], int]
    ) -> None:
        """Begin with what is `left` of limited ones, and how often customers were `given` one."""
        self._left = dict(left)
        self._given = dict(given)
        self._taken = list[tuple[UUID, Customer]]()

    def has_room(self, discount: Discount, customer: Customer) -> bool:
        """Tell whether a customer may be given a discount once more."""
        if self._left.get(discount.id, 1) <= 0:
            return False
        most = discount.uses_per_customer_max
        if most is None:
            return True
        taken = sum(id_ == discount.id and of.is_same(customer) for id_, of in self._taken)
        return self._given.get((discount.id, customer), 0) + taken < most

    def take(self, discount: Discount, customer: Customer) -> None:
        """Count what a customer is given."""
        if discount.id in self._left:
            self._left[discount.id] -= 1
        self._taken.append((discount.id, customer))
