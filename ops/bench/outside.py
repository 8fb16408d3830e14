"""The outside, answered inside the worker at no cost: a gateway and a mailer for the bench."""

from datetime import datetime

from domain.mail import Delivery, Mail, Sent
from domain.payment import (
    Booked,
    Call,
    Charge,
    Outcome,
    Statement,
    Succeeded,
    Unknown,
    Unsent,
)


class InstantGateway:
    """Says yes to everything, at once."""

    name = "instant"

    async def execute(self, call: Call) -> Outcome:
        """Succeed."""
        return Succeeded(f"pi_{call.attempt_id.hex}")

    async def find(self, call: Call) -> Outcome | None:
        """Find it, as every call succeeded."""
        return Succeeded(f"pi_{call.attempt_id.hex}")

    async def abandon(self, call: Charge, gateway_ref: str) -> Outcome:
        """Refuse: no charge waits for its customer."""
        del call
        return Succeeded(gateway_ref)

    async def statement(
        self, since: datetime, until: datetime, cursor: str | None
    ) -> Statement | Unsent | Unknown:
        """Show nothing: no books are kept."""
        del since, until, cursor
        return Statement((), None)

    async def booked(self, gateway_ref: str) -> Booked | Unsent | Unknown | None:
        """Show nothing: no books are kept."""
        del gateway_ref

    async def close(self) -> None:
        """Nothing is held."""


class InstantMailer:
    """Takes every mail, at once."""

    async def send(self, mail: Mail) -> Delivery:
        """Take it."""
        del mail
        return Sent()

    async def close(self) -> None:
        """Nothing is held."""
