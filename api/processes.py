"""Processes over HTTP: shown, and asked to stop, by staff."""

from http import HTTPStatus
from uuid import UUID

import msgspec
from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit
from api.authentication import Asked
from db import processes
from db.engine import name_commit
from db.processes import ProcessView
from ops.telemetry.faultpoint import Commit


class ProcessList(msgspec.Struct, frozen=True):
    """All processes, the living first."""

    processes: list[ProcessView]


@get("")
async def list_processes(tx: NamedDependency[AsyncConnection]) -> ProcessList:
    """List the processes, what each does now, and which are lost."""
    return ProcessList(await processes.page(tx))


@post("/{process_id:uuid}/stop", status_code=HTTPStatus.ACCEPTED)
async def stop_process(
    request: Asked, tx: NamedDependency[AsyncConnection], process_id: FromPath[UUID]
) -> ProcessView:
    """Ask a process to end what it is at, and stop; what keeps it running starts another.

    The other workers of one Dramatiq master end with it, as the master does.
    """
    name_commit(tx, Commit.PROCESS)
    was = await processes.get(tx, process_id)
    asked = await processes.ask_to_stop(tx, process_id, by=request.user.user_id)
    if was.stop_asked_at is None:
        after = {"kind": asked.kind, "host": asked.host, "pid": asked.pid}
        await audit.record(tx, request, "process.stop", process_id, after=after)
    return asked


router = Router("/v1/processes", route_handlers=[list_processes, stop_process], tags=["operations"])
