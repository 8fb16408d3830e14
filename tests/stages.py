"""Running the stages in the test's own event loop, without a broker."""

from functools import partial

from db.engine import Database
from domain.mail import Mailer
from domain.payment import Gateway
from domain.task import Queue
from ops.bench.outside import InstantGateway, InstantMailer
from ops.config import Settings
from tests.records import left, make_due
from workers import claimed, housekeeping, inventory, leased, notifications, payments
from workers.bell import Bell
from workers.breaker import Breaker
from workers.payments import Cashier, Till

# The longest way there is: a lookup, a void and a refund, each with its own task.
ROUNDS_MAX = 12

# Longer than any test takes.
LEASE_S = 60.0


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
    stage = claimed.Stage(database, Queue.INVENTORY, inventory.reserve, group_max, LEASE_S)
    await Bell(partial(claimed.drain, stage)).answer()


async def drain_housekeeping(database: Database) -> None:
    stage = claimed.Stage(database, Queue.HOUSEKEEPING, housekeeping.keep_house, 1, LEASE_S)
    await Bell(partial(claimed.drain, stage)).answer()


def a_cashier(database: Database, settings: Settings, *gateways: Gateway) -> Cashier:
    """Put together what a worker process pays with, the preferred gateway first."""
    tills = {g.name: Till(g, Breaker(g.name, settings, on_change=_unheard)) for g in gateways}
    return Cashier(database, tills, settings)


def _unheard(gateway: str, old: str, new: str) -> None:
    """Let the changes of a breaker pass."""
    del gateway, old, new


async def drain_payments(database: Database, settings: Settings, *gateways: Gateway) -> None:
    """Pay as a worker process does that has just begun: all its breakers are closed."""
    await drain_cashier(a_cashier(database, settings, *gateways))


async def drain_cashier(cashier: Cashier) -> None:
    stage = payments.stage(cashier)
    await Bell(partial(leased.drain, stage)).answer()


async def settle_payments(database: Database, settings: Settings, *gateways: Gateway) -> None:
    """Pay, and let the time pass that work waits, until nothing is left to be done."""
    cashier = a_cashier(database, settings, *gateways)
    for _ in range(ROUNDS_MAX):
        await make_due(database)
        await drain_cashier(cashier)
        if not await left(database, Queue.PAYMENTS):
            return
    raise AssertionError(f"Not settled in {ROUNDS_MAX} rounds.")


async def drain_notifications(database: Database, settings: Settings, mailer: Mailer) -> None:
    stage = notifications.stage(notifications.Postman(database, mailer, settings))
    await Bell(partial(leased.drain, stage)).answer()
