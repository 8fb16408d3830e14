"""The heartbeat of a process: there while it lives, gone when it ends, heard when asked to stop."""

import logging
from functools import partial

import pytest
from msgspec.structs import replace

from db import processes
from db.engine import Database, connect, transaction
from db.heartbeat import Heartbeat
from db.processes import ProcessKind, ProcessView
from ops.config import Settings
from ops.telemetry import activity
from tests.waiting import eventually


async def found(database: Database) -> list[ProcessView]:
    async with transaction(database) as tx:
        return await processes.page(tx)


async def test_process_is_known_while_it_lives_with_what_it_does(database: Database) -> None:
    heartbeat = Heartbeat(database, ProcessKind.CLOCK)

    with activity.doing("sweep", "expire"):
        heartbeat.start()
        [alive] = await eventually(partial(found, database))
    await heartbeat.close()

    assert ("sweep", "expire") in [(one.stage, one.what) for one in alive.running]
    assert (alive.kind, alive.lost) == ("clock", False)
    assert await found(database) == []


async def test_process_that_is_asked_to_stop_does_so_once(database: Database) -> None:
    stops: list[str] = []
    heartbeat = Heartbeat(database, ProcessKind.WORKER, stop=partial(stops.append, "now"))
    heartbeat.start()
    [alive] = await eventually(partial(found, database))

    async with transaction(database) as tx:
        await processes.ask_to_stop(tx, alive.id, by=None)

    async def beaten_again() -> bool:
        [now] = await found(database)
        return bool(stops) and now.heartbeat_at > heard_at

    async def heard() -> bool:
        return bool(stops)

    await eventually(heard)
    [stopping] = await found(database)
    heard_at = stopping.heartbeat_at
    await eventually(beaten_again)
    await heartbeat.close()
    assert stops == ["now"]


async def test_process_whose_heartbeat_cannot_be_written_goes_on_and_says_so_once(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    away = replace(settings, database_url="postgresql://nobody@127.0.0.1:1/nowhere")
    database = connect(away, name="orderflow tests", ring=lambda _: None)
    heartbeat = Heartbeat(database, ProcessKind.WORKER)

    async def said() -> bool:
        return any("cannot be written" in record.message for record in caplog.records)

    with caplog.at_level(logging.WARNING):
        heartbeat.start()
        await eventually(said)
        await heartbeat.close()
    await database.engine.dispose()

    assert [r.message for r in caplog.records if "will seem lost" in r.message]
