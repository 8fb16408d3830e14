"""Accepting orders in groups: every request that waits for a commit shares the next one."""

from collections.abc import Sequence
from time import perf_counter

import msgspec

from api.gather import WAIT_MAX_S, Gather
from api.idempotency import InFlight
from db import placements
from db.engine import Database, name_commit, transaction
from db.keys import Answer
from db.placements import Placement
from domain.refusal import Refusal
from ops.telemetry import trace
from ops.telemetry.faultpoint import Commit

# Beyond some seconds of work a client has given up: it is told to come back instead.
GROUPS_WAITING_MAX = 10


class Acceptance:
    """The door through which orders come in, one per process."""

    def __init__(
        self, database: Database, *, group_max: int, unpaid_max: int, tax_included: bool
    ) -> None:
        """Take groups of `group_max` orders, and `unpaid_max` unpaid orders of a customer."""
        self._database = database
        self.tax_included = tax_included
        self._unpaid_max = unpaid_max
        self._in_flight = InFlight()
        self._gather = Gather(
            "accept",
            self._accept,
            group_max=group_max,
            waiting_max=group_max * GROUPS_WAITING_MAX,
            wait_max_s=WAIT_MAX_S,
        )

    async def accept(self, placement: Placement) -> Answer:
        """Write an order, or find the answer its key got before.

        Raises the Refusal of a bad order, IdempotencyInProgress, or Unavailable.
        """
        with self._in_flight.hold(placement.scope, placement.key):
            return await self._gather.submit(placement)

    async def _accept(self, group: Sequence[Placement]) -> list[Answer | Refusal]:
        started = perf_counter()
        async with transaction(self._database) as tx:
            of_carts = any(placement.cart for placement in group)
            name_commit(tx, Commit.CHECKOUT if of_carts else Commit.ACCEPT)
            answers = await placements.insert_many(
                tx,
                group,
                msgspec.json.encode,
                unpaid_max=self._unpaid_max,
                tax_included=self.tax_included,
            )
        if not trace.is_recorded():
            return answers
        about: list[tuple[str | None, trace.Attributes]] = [
            (p.traceparent, {"orderflow.order.id": str(p.order_id)}) for p in group
        ]
        trace.tell_group("accept", perf_counter() - started, about)
        return answers
