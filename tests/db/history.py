"""Orders in every state the stages lead to, and the harm that may be done to their records."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import orders, payables, payments
from db.engine import Database, transaction
from db.ids import new_id
from domain import order, settlement
from domain.event import CancelReason
from domain.funds import ask_capture
from domain.payment import Call, Capture, Charge, Declined, Outcome, Succeeded, TakeAuthorized
from ops.bench.outside import InstantGateway
from ops.config import Settings
from tests.builders import a_placement, place, put_products
from tests.stages import drain_inventory, drain_payments, run_stages, settle_payments


class CostlyGateway(InstantGateway):
    """Keeps a part of what it takes."""

    async def execute(self, call: Call) -> Outcome:
        done = await super().execute(call)
        if isinstance(call, Charge | TakeAuthorized) and isinstance(done, Succeeded):
            return msgspec.structs.replace(done, fee_minor=29)
        return done


class DecliningGateway(InstantGateway):
    async def execute(self, call: Call) -> Outcome:
        del call
        return Declined("insufficient_funds")


async def a_history(database: Database, settings: Settings) -> dict[str, UUID]:
    """Orders in every state the stages lead to, by what is the matter with them."""
    await put_products(database, lamp=10, vase=10)
    wanted = [a_placement(("lamp", 2), ("vase", 1)) for _ in range(2)]
    manual = [a_placement(("vase", 1), capture=Capture.MANUAL) for _ in range(2)]
    paid, undone, part, dropped, short = await place(
        database, *wanted, *manual, a_placement(("lamp", 11))
    )
    await run_stages(database, settings, gateway=CostlyGateway())
    await _capture(database, part, 200)
    await _capture(database, dropped, 200)
    await settle_payments(database, settings, CostlyGateway())
    await cancel(database, undone)
    await cancel(database, dropped)
    await settle_payments(database, settings, CostlyGateway())
    await run_stages(database, settings)
    [declined] = await place(database, a_placement(("vase", 1)))
    await drain_inventory(database)
    await drain_payments(database, settings, DecliningGateway())
    [held] = await place(database, a_placement(("lamp", 3)))
    await drain_inventory(database)
    known = {"paid": paid, "undone": undone, "part": part, "dropped": dropped, "short": short}
    return {**known, "declined": declined, "held": held}


async def cancel(database: Database, order_id: UUID) -> None:
    async with transaction(database) as tx:
        await orders.change(tx, order_id, partial(order.cancel, reason=CancelReason.CUSTOMER))


async def _capture(database: Database, order_id: UUID, amount_minor: int) -> None:
    """Ask for a part of what is authorized, as staff does."""
    async with transaction(database) as tx:
        payable = await payables.lock(tx, order_id)
        asked = ask_capture(payable, new_id(), amount_minor=amount_minor, final=False)
        await payments.insert(tx, [(payable, asked)])
        decide = partial(settlement.request, asked=asked, actor="staff")
        await orders.change(tx, order_id, decide)


async def corrupt(tx: AsyncConnection, statements: Sequence[str], history: dict[str, UUID]) -> None:
    await tx.exec_driver_sql("SET LOCAL session_replication_role = replica")
    for statement in statements:
        for name, order_id in history.items():
            statement = statement.replace(f":{name}", f"'{order_id}'")  # noqa: PLW2901 - it is filled in
        changed = await tx.exec_driver_sql(statement)
        assert changed.rowcount != 0, statement
