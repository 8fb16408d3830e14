"""The bench of the dashboard: a backlog that could be, every page, and what is promised of them."""

import json
from io import StringIO

import pytest
from rich.console import Console

from db import invariants
from db.engine import Database, transaction
from ops.bench import backlog, dashboard, past, report
from ops.bench.books import opened
from ops.bench.watching import Took
from ops.config import Settings
from ops.dashboard.pages import PAGES
from tests.people import rows_of

ORDERS = 700


async def test_backlog_has_work_in_all_states_and_breaks_nothing(
    database: Database, settings: Settings
) -> None:
    async with opened(settings.database_url) as connection:
        await past.begin(connection)
        await past.write(connection, range(1, ORDERS + 1), now=ORDERS, under_way=ORDERS - 29)
        await backlog.pile_up(connection, orders=ORDERS)

    states = "SELECT DISTINCT state FROM tasks ORDER BY state"
    open_ones = "SELECT count(*) FROM orders WHERE status = 'review'"
    due = "SELECT count(*) FROM tasks WHERE state = 'ready' AND run_at <= now()"
    held = "SELECT count(*) FROM queues WHERE NOT paused"
    async with transaction(database) as tx:
        assert await invariants.check(tx) == []
    assert await rows_of(database, states) == [
        ("cancelled",),
        ("dead",),
        ("done",),
        ("ready",),
        ("running",),
    ]
    assert await rows_of(database, open_ones) == [(20,)]
    assert await rows_of(database, due) != [(0,)]
    assert await rows_of(database, held) == [(0,)]

    async with opened(settings.database_url) as connection:
        await backlog.put_off(connection)

    assert await rows_of(database, due) == [(0,)]
    assert await rows_of(database, "SELECT name FROM queues WHERE paused") == [("reconciliation",)]


def test_every_page_is_asked_for() -> None:
    asked = [address.partition("?")[0].replace("{order}", "1") for address in dashboard.ADDRESSES]

    matched = {page.path for page in PAGES for path in asked if page.match(path) is not None}

    assert matched == {page.path for page in PAGES}


@pytest.mark.parametrize(
    ("p95_ms", "cpu_percent", "verdicts"),
    [(300, 2, ["reached", "reached"]), (301, 2.1, ["missed", "missed"])],
)
def test_pages_and_watching_are_held_against_what_is_promised(
    p95_ms: float, cpu_percent: float, verdicts: list[str]
) -> None:
    pages = {"/ops": Took(900, 5, 20), "/ops/tasks": Took(900, 5, p95_ms)}

    values = dashboard.summary(pages, cpu_percent)

    out = StringIO()
    Console(file=out, width=120).print(report.table(values, dashboard.KEYS))
    lines = out.getvalue().splitlines()
    judged = [line for line in lines if "p95_ms_max" in line or "cpu_percent" in line]
    assert [verdict in line for verdict, line in zip(verdicts, judged, strict=True)] == [True, True]
    assert json.loads(report.json(values, dashboard.KEYS)) == {
        "p95_ms": {"/ops": 20, "/ops/tasks": p95_ms},
        "p95_ms_max": p95_ms,
        "overview_cpu_percent": cpu_percent,
    }
