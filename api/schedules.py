"""Schedules over HTTP: shown, paused, resumed and run at once by staff."""

from http import HTTPStatus

import msgspec
from litestar import Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit
from api.authentication import Asked
from db import schedules
from db.engine import name_commit
from db.schedules import ScheduleView
from domain.refusal import NotFound
from domain.schedule import Job
from ops.telemetry.faultpoint import Commit


class ScheduleList(msgspec.Struct, frozen=True):
    """All periodic jobs, by name."""

    schedules: list[ScheduleView]


class PutSchedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether it is paused."""

    paused: bool


@get("")
async def list_schedules(tx: NamedDependency[AsyncConnection]) -> ScheduleList:
    """List the periodic jobs: when each ran, and when it runs next."""
    return ScheduleList(await schedules.page(tx))


@put("/{job:str}")
async def put_schedule(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    job: FromPath[str],
    data: JSONBody[PutSchedule],
) -> ScheduleView:
    """Pause or resume a periodic job; what of it runs already goes on."""
    name_commit(tx, Commit.SCHEDULE)
    was = await schedules.get(tx, _known(job))
    now = await schedules.put(tx, _known(job), paused=data.paused, by=request.user.user_id)
    await audit.record(tx, request, "schedule.put", job, before={"paused": was.paused}, after=data)
    return now


@post("/{job:str}/run", status_code=HTTPStatus.ACCEPTED)
async def run_schedule(
    request: Asked, tx: NamedDependency[AsyncConnection], job: FromPath[str]
) -> ScheduleView:
    """Have a periodic job run within seconds, paused or not; only once if asked again before."""
    name_commit(tx, Commit.SCHEDULE)
    asked = await schedules.ask_to_run(tx, _known(job), by=request.user.user_id)
    await audit.record(tx, request, "schedule.run", job)
    return asked


def _known(job: str) -> Job:
    if job not in set(Job):
        raise NotFound(f"There is no periodic job {job}.")
    return Job(job)


router = Router(
    "/v1/schedules",
    route_handlers=[list_schedules, put_schedule, run_schedule],
    tags=["operations"],
)
