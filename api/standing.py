"""What the database says of who asks: one statement for all requests that ask at the same time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.gather import Gather
from db import standings
from db.engine import Database, transaction
from db.standings import Credential, Standing
from domain.refusal import NotFound, Refusal

_logger = logging.getLogger(__name__)

_GROUP_MAX = 500
# Beyond some seconds of work a client has given up: it is told to come back instead.
_WAITING_MAX = 10 * _GROUP_MAX
# When a key was last used is for people who look for keys that nobody needs any more.
_LATELY_S = 60


@final
class Standings:
    """Asks the database on every request; nothing is kept, so what changed there counts at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._credentials = Gather[Credential, Standing](
            "standing", self._find, group_max=_GROUP_MAX, waiting_max=_WAITING_MAX
        )
        self._orders = Gather[UUID, UUID | None](
            "owner", self._owners, group_max=_GROUP_MAX, waiting_max=_WAITING_MAX
        )
        self._touching: dict[UUID, asyncio.Task[None]] = {}

    async def of(self, credential: Credential) -> Standing:
        """Give the standing of a credential; raises NotFound, or Unavailable in an outage."""
        standing = await self._credentials.submit(credential)
        if standing.key_id is not None and not standing.key_used_lately:
            self._touch(standing.key_id, partial(standings.touch, lately_s=_LATELY_S))
        return standing

    async def owner(self, order_id: UUID) -> UUID | None:
        """Give the account that has an order, if any has; raises NotFound."""
        return await self._orders.submit(order_id)

    async def close(self) -> None:
        """Wait until what is under way is written."""
        await asyncio.gather(*self._touching.values())

    async def _find(self, group: Sequence[Credential]) -> list[Standing | Refusal]:
        # The requests of one client name the same credential.
        distinct = list(dict.fromkeys(group))
        async with transaction(self._database) as tx:
            found = await standings.find_many(tx, distinct, lately_s=_LATELY_S)
        of = dict(zip(distinct, found, strict=True))
        return [of[one] or NotFound("There is no such person or key.") for one in group]

    async def _owners(self, group: Sequence[UUID]) -> list[UUID | Refusal | None]:
        async with transaction(self._database) as tx:
            found = await standings.owners(tx, list(set(group)))
        return [
            found[one] if one in found else NotFound(f"There is no order {one}.") for one in group
        ]

    def touch_session(self, session_id: UUID) -> None:
        """Have the use of a session written down."""
        self._touch(session_id, standings.touch_session)

    def _touch(
        self, named: UUID, write: Callable[[AsyncConnection, UUID], Awaitable[None]]
    ) -> None:
        """Have a use written down, by nobody's request; once at a time is enough."""
        if named not in self._touching:
            self._touching[named] = task = asyncio.create_task(self._written(named, write))
            task.add_done_callback(lambda _: self._touching.pop(named))

    async def _written(
        self, named: UUID, write: Callable[[AsyncConnection, UUID], Awaitable[None]]
    ) -> None:
        try:
            async with transaction(self._database) as tx:
                await write(tx, named)
        except Refusal as outage:
            _logger.warning("A use is not written down: %s", outage.detail)
