"""A mail relay at the edge: it keeps every mail, and waits or fails when told to."""

from collections import deque
from uuid import UUID

import pytest

from domain.mail import Delivery, Mail, Sent
from tests.door import Door


class Postbox:
    """The relay. Mails pass `entrance`, are kept, then pass `exit`, then it is said that they are.

    `answers` are given to the next mails in place of keeping them.
    """

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.answers: deque[Delivery] = deque()
        self.entrance, self.exit = Door(), Door()
        self.closed = False

    async def send(self, mail: Mail) -> Delivery:
        order_id = UUID(mail.message_id.partition(".")[0])
        await self.entrance.passed(order_id)
        if self.answers:
            return self.answers.popleft()
        self.mails.append(mail)
        await self.exit.passed(order_id)
        return Sent()

    async def close(self) -> None:
        self.closed = True

    def subjects(self, order_id: UUID) -> list[str]:
        """Subjects of the mails about an order, in the order in which they came."""
        return [m.subject for m in self.mails if m.message_id.startswith(str(order_id))]


@pytest.fixture
def postbox() -> Postbox:
    return Postbox()
