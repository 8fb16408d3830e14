"""Money: an integer of minor units and an ISO 4217 currency."""

from typing import Annotated

import msgspec
from msgspec import Meta

# Letters only: the currencies a gateway settles are its own list, not ours.
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z", max_length=3)]

# Stripe's largest amount for most currencies (docs.stripe.com/currencies), in minor units.
AMOUNT_MINOR_MAX = 99_999_999


class Money(msgspec.Struct, frozen=True):
    """An amount in minor units, e.g. pence."""

    minor: int
    currency: str

    def __add__(self, other: "Money") -> "Money":
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} cannot be added.")
        return Money(self.minor + other.minor, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)
