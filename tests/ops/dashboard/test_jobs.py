"""The pages of queues, tasks, workers and schedules, with what is on them."""

import re
from collections.abc import AsyncGenerator
from html import unescape

import msgspec
import pytest
from litestar import Litestar

from db import bulks, imports, processes, queues, schedules, tasks
from db.bulks import NewBulk
from db.engine import Database, transaction
from db.ids import new_id
from db.imports import NewImport
from db.matching import Filter
from db.processes import LOST_AFTER_S, ProcessKind, Self
from domain.bulk import BulkAction
from domain.importing import FileFormat, OnError
from domain.principal import Principal, PrincipalKind, Role
from domain.schedule import Job
from domain.task import DONE, Kind, NewTask, Queue
from ops.dashboard.page import Misasked
from ops.dashboard.site import Site
from ops.telemetry.activity import Told
from tests.people import rows_of
from tests.staff import ADMIN
from tests.web import served

OPS = Principal(PrincipalKind.USER, role=Role.OPS)
SUPPORT = Principal(PrincipalKind.USER, role=Role.SUPPORT)


@pytest.fixture
async def site(app: Litestar) -> AsyncGenerator[Site]:
    async with served(app):
        yield app.state.site


def row(html: str, mark: str) -> str:
    """Give the text of the row of a table in which something stands."""
    [found] = [one for one in re.findall("<tr.*?</tr>", html, re.DOTALL) if mark in one]
    return " ".join(unescape(re.sub("<[^>]+>", " ", found)).split())


async def dead(database: Database, error: str, count: int = 1, kind: Kind = Kind.NOTIFY) -> None:
    query = """
        INSERT INTO tasks (queue, kind, state, attempt, attempts_max, last_error, finished_at)
        SELECT 'notifications', :kind, 'dead', 3, 3, :error, now()
        FROM generate_series(1, :count) RETURNING id
        """
    await rows_of(database, query, kind=kind.value, error=error, count=count)


async def test_imports_tell_how_far_they_are_to_those_who_may_import(
    site: Site, database: Database
) -> None:
    new = NewImport(new_id(), FileFormat.CSV, OnError.SKIP, dry_run=True, asked_by=ADMIN)
    async with transaction(database) as tx:
        await imports.insert(tx, new)
        await imports.start(tx, new.id, 2_000)
    await rows_of(
        database,
        "UPDATE imports SET bytes_read = 500, rows = 1234, bad = 7 WHERE id = :id RETURNING id",
        id=new.id,
    )
    wrong = """
        INSERT INTO import_errors (import_id, line, field, detail)
        VALUES (:id, 2, 'variant.sku', '<b>Expected</b> a SKU.') RETURNING line
        """
    await rows_of(database, wrong, id=new.id)

    page = await site.page(OPS, "/ops/tasks", "")
    fragments = await site.fragments(OPS, "/ops/tasks", "")

    told = row(page, str(new.id))
    assert "reading dry run 1,234 7 Line 2, variant.sku: <b>Expected</b> a SKU. and more" in told
    assert "<b>Expected" not in page
    assert "admin@orderflow.test" in told
    assert '<progress max="2000" value="500"' in fragments["imports"]
    assert f'data-api="POST /v1/imports/{new.id}/cancel"' in page
    assert str(new.id) not in await site.page(SUPPORT, "/ops/tasks", "")


async def test_queues_tell_who_paused_them_and_how_fast_they_are(
    site: Site, database: Database
) -> None:
    async with transaction(database) as tx:
        await queues.put(tx, Queue.PAYMENTS, paused=True, running_max=4, by=ADMIN)
        await queues.drain(tx, Queue.SHIPPING, by=ADMIN)
        await tasks.schedule(tx, NewTask(Kind.PRUNE))
        done = await tasks.claim(tx, Queue.HOUSEKEEPING, limit=1)
        await tasks.finish(tx, [(task, DONE) for task in done], leased=False)

    shown = await site.page(OPS, "/ops/queues", "")

    assert "paused admin@orderflow.test" in row(shown, 'id="queue-payments"')
    assert "0 of 4" in row(shown, 'id="queue-payments"')
    assert "draining" in row(shown, 'id="queue-shipping"')
    assert row(shown, "below 10 ms") == "below 10 ms 1"


async def test_tasks_are_found_by_what_they_are_and_why_they_failed(
    site: Site, database: Database
) -> None:
    await dead(database, "Relay 10.0.0.7 is <away>", 60)
    await dead(database, "Stuck", kind=Kind.PRUNE)

    everything = await site.page(OPS, "/ops/tasks", "")
    found = await site.page(OPS, "/ops/tasks", "state=dead&kind=prune&error=stuck&queue=")
    older = re.search(r'href="\?(state=dead&amp;before=\d+)"', everything)

    assert "Relay … is <away>" in row(everything, "60</td>")
    assert "<away>" not in everything
    assert len(re.findall('data-key="task-', everything)) == 50
    assert len(re.findall('data-key="task-', found)) == 1
    assert older
    rest = await site.page(OPS, "/ops/tasks", unescape(older[1]))
    assert len(re.findall('data-key="task-', rest)) == 11
    with pytest.raises(Misasked):
        await site.page(OPS, "/ops/tasks", "state=odd")


async def test_dry_run_says_what_it_would_do_and_offers_to_begin(
    site: Site, database: Database
) -> None:
    await dead(database, "Away", 3)
    await dead(database, "Stuck", 2, kind=Kind.RESERVE)

    shown = await site.page(OPS, "/ops/tasks", "state=dead&act=discard")

    assert "5 match, 3 safe, 2 left out." in shown
    assert "would wait for ever" in shown
    [match] = re.findall('name="match" value="([^"]*)"', shown)
    assert msgspec.json.decode(unescape(match)) == {"state": "dead"}
    assert "Discard 3" in shown


async def test_bulk_shows_how_far_it_is_and_can_be_stopped_or_undone(
    site: Site, database: Database
) -> None:
    ids = new_id(), new_id()
    async with transaction(database) as tx:
        for bulk_id, action in zip(ids, (BulkAction.REPLAY, BulkAction.DISCARD), strict=True):
            await bulks.insert(tx, NewBulk(bulk_id, action, Filter(), 5, "Why", ADMIN, 9, 7))
    ended = "UPDATE task_bulks SET state = 'done', finished_at = now(), changed = 5 WHERE id = :id"
    await rows_of(database, f"{ended} RETURNING id", id=ids[1])

    shown = await site.page(OPS, "/ops/tasks", "")

    assert "0 of 7" in row(shown, f'data-key="{ids[0]}"')
    assert "Stop" in row(shown, f'data-key="{ids[0]}"')
    assert "5 of 7" in row(shown, f'data-key="{ids[1]}"')
    assert "Undo" in row(shown, f'data-key="{ids[1]}"')


async def test_workers_tell_what_they_do_and_which_are_lost(site: Site, database: Database) -> None:
    alive, lost = (Self(new_id(), ProcessKind.WORKER, "dyno", n, "0.1.0") for n in (1, 2))
    charge = Told("payments", "charge", 5.0, {"task_id": "7", "order_id": str(new_id())})
    async with transaction(database) as tx:
        for own in (alive, lost):
            await processes.beat(tx, own, rss_bytes=52_428_800, running=[charge])
    past = "UPDATE processes SET heartbeat_at = now() - make_interval(secs => :s) WHERE id = :id"
    await rows_of(database, f"{past} RETURNING id", s=LOST_AFTER_S + 1, id=lost.id)

    shown = await site.page(OPS, "/ops/workers", "")

    assert "dyno, pid 1 alive payments: charge of" in row(shown, str(alive.id))
    assert "50 MiB" in row(shown, str(alive.id))
    assert "dyno, pid 2 lost" in row(shown, str(lost.id))
    assert "Stop" not in row(shown, str(lost.id))


async def test_schedules_tell_when_jobs_run(site: Site, database: Database) -> None:
    async with transaction(database) as tx:
        await schedules.put(tx, Job.PRUNE, paused=True, by=ADMIN)
        await schedules.ask_to_run(tx, Job.AUDIT, by=ADMIN)

    shown = await site.page(OPS, "/ops/schedules", "")

    assert "paused admin@orderflow.test" in row(shown, 'id="job-prune"')
    assert "asked to run" in row(shown, 'id="job-audit"')


@pytest.mark.parametrize("path", ["queues", "tasks", "workers", "schedules"])
async def test_support_sees_all_of_it_and_is_offered_nothing(
    site: Site, database: Database, path: str
) -> None:
    await dead(database, "Away")
    async with transaction(database) as tx:
        own = Self(new_id(), ProcessKind.WORKER, "dyno", 1, "0.1.0")
        await processes.beat(tx, own, rss_bytes=None, running=())

    def offered(html: str) -> list[str]:
        return re.findall('data-api="([^"]*)"', html)

    assert offered(await site.page(OPS, f"/ops/{path}", ""))
    assert offered(await site.page(SUPPORT, f"/ops/{path}", "")) == []
