"""The outside, answered inside the worker at no cost: a gateway and a mailer for the bench."""

from domain.mail import Delivery, Mail, Sent
from domain.payment import Charge, Outcome, Refund, Succeeded


class InstantGateway:
    """Says yes to everything, at once."""

    name = "instant"

    async def charge(self, charge: Charge) -> Outcome:
        """Succeed."""
        return Succeeded(f"pi_{charge.attempt_id.hex}")

    async def find_charge(self, charge: Charge) -> Outcome | None:
        """Find it, as every charge succeeded."""
        return Succeeded(f"pi_{charge.attempt_id.hex}")

    async def refund(self, refund: Refund) -> Outcome:
        """Succeed."""
        return Succeeded(f"re_{refund.attempt_id.hex}")

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
