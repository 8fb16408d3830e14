"""Notifications: the row is written first, then the mail goes out, then its fate is written."""

import asyncio
import logging
import random
from collections.abc import Sequence
from functools import partial
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import account_notices, notifications, tasks
from db.engine import Database, name_commit, transaction
from db.notifications import Key
from domain.mail import Delivery, Mail, Mailer, Unsent
from domain.notice import mail
from domain.task import DONE, Kind, Notice, Queue, Task, Verdict, retry
from ops.config import Settings
from ops.telemetry import metrics, trace
from ops.telemetry.faultpoint import Commit
from workers import account_mails
from workers.account_mails import notice_of
from workers.leased import Stage, order_of
from workers.telling import tell_ended

log = logging.getLogger(__name__)

# Mails under way in one process; the mailer's own connections bound what goes at once.
MAILS_FLYING_MAX = 128


class Postman(msgspec.Struct, frozen=True):
    """What the notification stage works with."""

    database: Database
    mailer: Mailer
    settings: Settings


class Errand(msgspec.Struct, frozen=True):
    """A mail to hand over, the task that wants it, and where its fate is written.

    `about` is an order's notice, or the id of an account's.
    """

    task: Task
    about: Key | UUID
    mail: Mail


def stage(postman: Postman) -> Stage[Errand, Delivery]:
    """Put the stage together."""
    return Stage(
        database=postman.database,
        queue=Queue.NOTIFICATIONS,
        lease_s=postman.settings.lease_s,
        prepare=partial(prepare, postman),
        call=partial(call, postman),
        record=partial(record, postman),
        flying_max=MAILS_FLYING_MAX,
    )


async def prepare(
    postman: Postman, tx: AsyncConnection, group: Sequence[Task]
) -> list[Errand | Verdict]:
    """Note and write the mail of each task; done where it is out already."""
    of_orders = {task.id: _key(task) for task in group if task.kind is Kind.NOTIFY}
    of_accounts = {t.id: notice_of(t) for t in group if t.kind is Kind.NOTIFY_ACCOUNT}
    told = await notifications.insert(tx, list(of_orders.values())) if of_orders else {}
    letters = await account_mails.write(tx, list(of_accounts.values()), postman.settings)
    of_keys = {key: mail(key[1], each) for key, each in told.items()}
    mails: dict[Key | UUID, Mail] = {**of_keys, **letters}
    about: dict[int, Key | UUID] = {**of_orders, **of_accounts}
    return [
        Errand(task, about[task.id], mails[about[task.id]]) if about[task.id] in mails else DONE
        for task in group
    ]


def _key(task: Task) -> Key:
    return order_of(task), Notice(task.payload["notice"])


async def call(postman: Postman, errand: Errand) -> Delivery:
    """Hand a mail to the relay, within the task's time; whatever goes wrong is an outcome."""
    with trace.span("mail", kind=trace.Kind.CLIENT) as span:
        delivery = await _send(postman, errand.mail)
        span.set({"outcome": type(delivery).__name__.lower()})
    metrics.mails.labels(outcome=type(delivery).__name__.lower()).inc()
    return delivery


async def _send(postman: Postman, mail: Mail) -> Delivery:
    try:
        async with asyncio.timeout(postman.settings.task_timeout_s):
            return await postman.mailer.send(mail)
    except TimeoutError:
        return Unsent("The relay did not answer in time.")
    except Exception as error:
        log.exception("The mailer failed")
        return Unsent(f"The mailer failed: {type(error).__name__}.")


async def record(postman: Postman, pairs: Sequence[tuple[Errand, Delivery]]) -> None:
    """Write the fate of mails; attempts taken over are left alone."""
    async with transaction(postman.database) as tx:
        verdicts = [(errand.task, _verdict(errand.task, d)) for errand, d in pairs]
        name_commit(tx, Commit.RECORD_NOTIFICATIONS)
        ours = await tasks.finish(tx, verdicts, leased=True)
        current = [(e, d) for e, d in pairs if e.task.id in ours]
        of_orders = [(e.about, d) for e, d in current if not isinstance(e.about, UUID)]
        of_accounts = [(e.about, d) for e, d in current if isinstance(e.about, UUID)]
        await notifications.record(tx, of_orders)
        await account_notices.record(tx, of_accounts)
    tell_ended(verdicts)


def _verdict(task: Task, delivery: Delivery) -> Verdict:
    if isinstance(delivery, Unsent):
        chance = random.random()  # noqa: S311 - jitter
        return retry(task.attempt, task.attempts_max, error=delivery.reason, chance=chance)
    return DONE
