"""Mails: written down first, handed over, and never forgotten."""

import asyncio
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import select, text

from db import tables
from db.engine import Database, transaction
from domain.mail import Delivery, Mail, Refused, Unsent
from domain.task import Kind, Queue
from ops.config import Settings
from tests.bank import DECLINED, Bank
from tests.builders import a_placement, place, put_products
from tests.postbox import Postbox
from tests.records import end_leases, make_due, pause, work
from tests.stages import drain_inventory, drain_notifications, drain_payments
from workers import clock

CONFIRMED = "Your order is confirmed"


@pytest.fixture
async def order_id(database: Database, settings: Settings) -> UUID:
    """A paid order, whose customer is to be told."""
    return await settled(database, settings)


async def settled(
    database: Database, settings: Settings, payment_method: str = "pm_card_visa"
) -> UUID:
    await put_products(database, APPLE=10)
    placement = a_placement(("APPLE", 2), payment_method=payment_method)
    [order_id] = await place(database, placement)
    await drain_inventory(database)
    await drain_payments(database, settings, Bank())
    return order_id


async def notes(database: Database, order_id: UUID) -> list[tuple[str, str, str | None]]:
    """Read kind, state and error of an order's notifications."""
    n = tables.notifications.c
    async with transaction(database) as tx:
        query = select(n.kind, n.state, n.error).where(n.order_id == order_id)
        return [(kind, state, error) for kind, state, error in await tx.execute(query)]


async def told(database: Database, order_id: UUID) -> tuple[str, int, str | None]:
    task = await work(database, order_id, Kind.NOTIFY)
    return task.state, task.attempt, task.last_error


async def test_customer_of_a_paid_order_gets_one_mail(
    database: Database, settings: Settings, postbox: Postbox, order_id: UUID
) -> None:
    await drain_notifications(database, settings, postbox)
    await drain_notifications(database, settings, postbox)

    [mail] = postbox.mails
    assert (mail.to, mail.subject) == ("ann@example.com", CONFIRMED)
    assert mail.message_id == f"{order_id}.order_confirmed@orderflow"
    assert await notes(database, order_id) == [("order_confirmed", "sent", None)]


async def test_second_task_for_the_same_mail_sends_none(
    database: Database, settings: Settings, postbox: Postbox, order_id: UUID
) -> None:
    await drain_notifications(database, settings, postbox)
    async with transaction(database) as tx:
        again = text("UPDATE tasks SET state = 'ready', finished_at = NULL WHERE kind = 'notify'")
        await tx.execute(again)

    await drain_notifications(database, settings, postbox)

    assert postbox.subjects(order_id) == [CONFIRMED]
    assert (await told(database, order_id))[0] == "done"


async def test_customer_of_a_declined_card_is_told_why(
    database: Database, settings: Settings, postbox: Postbox
) -> None:
    order_id = await settled(database, settings, DECLINED)

    await drain_notifications(database, settings, postbox)

    assert postbox.subjects(order_id) == ["Your order is cancelled"]
    assert "payment was declined" in postbox.mails[0].text


async def test_mail_that_was_not_taken_is_sent_again_later(
    database: Database, settings: Settings, postbox: Postbox, order_id: UUID
) -> None:
    postbox.answers.append(Unsent("No connection."))

    await drain_notifications(database, settings, postbox)
    assert await told(database, order_id) == ("ready", 1, "No connection.")
    assert await notes(database, order_id) == [("order_confirmed", "pending", None)]

    await make_due(database)
    await drain_notifications(database, settings, postbox)
    assert postbox.subjects(order_id) == [CONFIRMED]
    assert await told(database, order_id) == ("done", 2, None)


async def test_refused_mail_is_not_sent_again(
    database: Database, settings: Settings, postbox: Postbox, order_id: UUID
) -> None:
    postbox.answers.append(Refused("550 no such user"))

    await drain_notifications(database, settings, postbox)

    assert await notes(database, order_id) == [("order_confirmed", "refused", "550 no such user")]
    assert (await told(database, order_id))[0] == "done"


async def test_mail_out_of_attempts_is_dead_with_its_reason(
    database: Database, settings: Settings, postbox: Postbox, order_id: UUID
) -> None:
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE tasks SET attempts_max = 2 WHERE kind = 'notify'"))
    postbox.answers.extend([Unsent("No connection.")] * 2)

    for _ in range(3):
        await make_due(database)
        await drain_notifications(database, settings, postbox)

    assert await told(database, order_id) == ("dead", 2, "No connection.")
    assert postbox.mails == []


async def test_relay_that_does_not_answer_in_time_is_asked_again(
    database: Database, settings: Settings, postbox: Postbox, order_id: UUID
) -> None:
    hasty = msgspec.structs.replace(settings, gateway_timeout_s=0.01, task_timeout_s=0.02)
    postbox.entrance.shut()

    await drain_notifications(database, hasty, postbox)

    assert await told(database, order_id) == ("ready", 1, "The relay did not answer in time.")


async def test_mailer_that_raises_is_asked_again(
    database: Database, settings: Settings, order_id: UUID
) -> None:
    class Broken(Postbox):
        async def send(self, mail: Mail) -> Delivery:
            raise ZeroDivisionError(mail)

    await drain_notifications(database, settings, Broken())

    assert await told(database, order_id) == ("ready", 1, "The mailer failed: ZeroDivisionError.")


async def test_mail_of_a_worker_that_lost_its_lease_is_sent_once_more_under_its_id(
    database: Database, settings: Settings, postbox: Postbox, order_id: UUID
) -> None:
    postbox.exit.shut()
    late = asyncio.create_task(drain_notifications(database, settings, postbox))
    await postbox.exit.until_waiting()
    await end_leases(database)
    await clock.take_back(database)

    await pause(database, Queue.NOTIFICATIONS)
    await postbox.exit.open()
    await late
    after_the_lost_one = await notes(database, order_id)
    await pause(database, Queue.NOTIFICATIONS, paused=False)
    await drain_notifications(database, settings, postbox)

    assert after_the_lost_one == [("order_confirmed", "pending", None)]
    assert await notes(database, order_id) == [("order_confirmed", "sent", None)]
    assert len(postbox.mails) == 2
    assert len({mail.message_id for mail in postbox.mails}) == 1
