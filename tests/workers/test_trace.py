"""Work and calls to the outside belong to the trace of the request that caused them."""

import msgspec
from sqlalchemy import text

from db import tasks
from db.engine import Database, transaction
from domain.payment import Call, Outcome
from domain.task import Kind, NewTask
from ops.bench.outside import InstantGateway
from ops.config import Settings
from ops.telemetry import trace
from tests.builders import a_placement, place, put_products
from tests.stages import drain_inventory, drain_payments

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Listening(InstantGateway):
    """Remembers in which trace it was called."""

    def __init__(self) -> None:
        self.trace_ids: list[str | None] = []

    async def execute(self, call: Call) -> Outcome:
        self.trace_ids.append(trace.trace_id())
        return await super().execute(call)


async def test_gateway_is_called_in_the_trace_of_the_request(
    database: Database, settings: Settings
) -> None:
    gateway = Listening()
    await put_products(database, APPLE=10)
    traced = msgspec.structs.replace(a_placement(("APPLE", 1)), traceparent=PARENT)
    await place(database, traced)

    await drain_inventory(database)
    await drain_payments(database, settings, gateway)

    assert gateway.trace_ids == [PARENT.split("-")[1]]


async def test_work_for_an_order_is_in_its_trace_whoever_asks_for_it(database: Database) -> None:
    await put_products(database, APPLE=10)
    traced = msgspec.structs.replace(a_placement(("APPLE", 1)), traceparent=PARENT)
    [order_id] = await place(database, traced)
    asking = f"00-{'c' * 32}-{'d' * 16}-01"

    with trace.following(asking):
        async with transaction(database) as tx:
            await tasks.schedule(tx, NewTask(Kind.REFUND), order_id=order_id)
            await tasks.schedule(tx, NewTask(Kind.PRUNE))
    async with transaction(database) as tx:
        await tasks.schedule(tx, NewTask(Kind.RECONCILE))
        found = await tx.execute(text("SELECT kind, traceparent FROM tasks"))
        traces = {kind: given and trace.id_of(given) for kind, given in found}

    order = trace.id_of(PARENT)
    assert traces == {
        "reserve": order,
        "refund": order,
        "prune": "c" * 32,
        "reconcile": None,
    }
