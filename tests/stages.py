"""Running the stages in the test's own event loop, without a broker."""

from functools import partial

from db.engine import Database
from domain.mail import Mailer
from domain.payment import Gateway
from domain.task import Queue
from ops.bench.outside import InstantGateway, InstantMailer
from ops.config import Settings
from workers import claimed, inventory, leased, notifications, payments
from workers.bell import Bell


async def run_stages(
    database: Database,
    settings: Settings,
    *,
    gateway: Gateway | None = None,
    mailer: Mailer | None = None,
) -> None:
    """Drain inventory, payments and notifications, once each in the order of an order's life."""
    await drain_inventory(database)
    await drain_payments(database, settings, gateway or InstantGateway())
    await drain_notifications(database, settings, mailer or InstantMailer())


async def drain_inventory(database: Database, *, group_max: int = 200) -> None:
    stage = claimed.Stage(database, Queue.INVENTORY, inventory.reserve, group_max)
    await Bell(partial(claimed.drain, stage)).answer()


async def drain_payments(database: Database, settings: Settings, gateway: Gateway) -> None:
    stage = payments.stage(payments.Cashier(database, gateway, settings))
    await Bell(partial(leased.drain, stage)).answer()


async def drain_notifications(database: Database, settings: Settings, mailer: Mailer) -> None:
    stage = notifications.stage(notifications.Postman(database, mailer, settings))
    await Bell(partial(leased.drain, stage)).answer()
