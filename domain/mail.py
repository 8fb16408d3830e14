"""A mail as the outside takes it."""

from typing import Protocol

import msgspec


class Mail(msgspec.Struct, frozen=True):
    """One mail; `message_id` is stable, so that a second copy is recognised as such."""

    message_id: str  # without angle brackets, e.g. "<order id>.order_confirmed@orderflow"
    to: str
    subject: str
    text: str


class Sent(msgspec.Struct, frozen=True):
    """The relay took it."""


class Refused(msgspec.Struct, frozen=True):
    """The relay's definite no (5xx for this recipient or mail): another try is useless."""

    reason: str


class Unsent(msgspec.Struct, frozen=True):
    """Not known to be taken: no connection, 4xx, timeout. Try again."""

    reason: str


Delivery = Sent | Refused | Unsent


class Mailer(Protocol):
    """Hands mails to a relay. It never raises for what the network or the relay does."""

    async def send(self, mail: Mail) -> Delivery: ...

    async def close(self) -> None: ...
