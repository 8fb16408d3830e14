"""A call to the outside belongs to the trace of the request that caused it."""

import msgspec

from db.engine import Database
from domain.payment import Call, Outcome
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
