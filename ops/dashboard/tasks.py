"""The tasks: found by what they are and why they failed, and acted on, one or all that match."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from db import backlog, bulks, imports, matching, people
from db.bulks import BATCH_MAX
from db.matching import Filter
from db.tasks import ID_MAX
from domain.bulk import ACTS_ON, BulkAction, sum_up
from domain.task import Kind, Queue, State
from ops.dashboard.page import Page

SHOWN_MAX = 50
BULKS_SHOWN_MAX = 5
IMPORTS_SHOWN_MAX = 5
# Of lines that are bad, some tell what is wrong with all.
LINES_SHOWN_MAX = 10
CAUSES_SHOWN_MAX = 10

_Moment = Annotated[datetime, Meta(tz=True)]


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the list is narrowed by, from where it goes on, and what a dry run is asked of."""

    state: State = State.DEAD
    kind: Kind | None = None
    queue: Queue | None = None
    order_id: UUID | None = None
    error: Annotated[str, Meta(max_length=200)] | None = None
    created_from: _Moment | None = None
    created_before: _Moment | None = None
    before: Annotated[int, Meta(ge=1, le=ID_MAX)] | None = None
    act: BulkAction | None = None

    def filter(self) -> Filter:
        """Give the filter of the list."""
        return Filter(
            self.state,
            self.kind,
            self.queue,
            self.order_id,
            self.error,
            self.created_from,
            self.created_before,
        )

    def query(self) -> dict[str, str]:
        """Give what narrows the list as the query of an address."""
        given: dict[str, Any] = msgspec.to_builtins(self)
        return {name: str(v) for name, v in given.items() if v and name not in {"before", "act"}}

    def match(self) -> str:
        """Give the same as JSON for the API."""
        return msgspec.json.encode(self.query()).decode()


async def show(tx: AsyncConnection, asked: Asked) -> Mapping[str, object]:
    """Read a part of the list, and what a dry run says of all that match."""
    wanted = asked.filter()
    found = await backlog.page(tx, wanted, before=asked.before, limit=SHOWN_MAX + 1)
    actions = [action for action, states in ACTS_ON.items() if asked.state in states]
    judged = None
    if asked.act is not None and asked.act in actions:
        groups = await matching.groups(tx, wanted, id_max=await bulks.last_id(tx))
        judged = sum_up(asked.act, groups)
    begun = (await bulks.page(tx))[:BULKS_SHOWN_MAX]
    files = await imports.page(tx, before=None, limit=IMPORTS_SHOWN_MAX)
    dead = asked.state is State.DEAD
    return {
        "tasks": found[:SHOWN_MAX],
        "more": found[SHOWN_MAX - 1].id if len(found) > SHOWN_MAX else None,
        "causes": (await matching.causes(tx))[:CAUSES_SHOWN_MAX] if dead else [],
        "bulks": begun,
        "imports": files,
        "wrong": {
            one.id: await imports.errors(tx, one.id, after=0, limit=LINES_SHOWN_MAX)
            for one in files
            if one.bad
        },
        "people": await people.emails(tx, [one.asked_by for one in (*begun, *files)]),
        "actions": actions,
        "judged": judged,
        "per_s_max": BATCH_MAX,
        "states": list(State),
        "kinds": list(Kind),
        "queues": list(Queue),
    }


PAGE = Page("/ops/tasks", "Tasks", "tasks.html", show, Asked, nav="Tasks")
