"""Receiving gateways' messages in groups: those that come together share a transaction."""

from collections.abc import Sequence

from api.gather import WAIT_MAX_S, Gather
from db import inbox, tasks
from db.engine import Database, name_commit, transaction
from db.inbox import Message
from domain.task import Queue
from ops.telemetry.faultpoint import Commit

# Beyond some seconds of work the gateway has given up: it sends again.
GROUPS_WAITING_MAX = 10


class Reception:
    """The door through which messages come in that only say that the gateway is to be asked."""

    def __init__(self, database: Database, *, group_max: int) -> None:
        self._database = database
        self._gather = Gather(
            "receive",
            self._keep,
            group_max=group_max,
            waiting_max=group_max * GROUPS_WAITING_MAX,
            wait_max_s=WAIT_MAX_S,
        )

    async def keep(self, message: Message) -> None:
        """Keep a message and have the gateway asked now, if it is about an order of ours.

        Raises Busy if a lock is not to be had in 100 ms, or Unavailable.
        """
        await self._gather.submit(message)

    async def _keep(self, group: Sequence[Message]) -> list[None]:
        async with transaction(self._database) as tx:
            name_commit(tx, Commit.WEBHOOK)
            kept = await inbox.insert_many(tx, group)
            ours = {order_id for new, order_id in kept if new and order_id is not None}
            if ours:
                await tasks.hurry(tx, sorted(ours), Queue.PAYMENTS)
        return [None] * len(group)
