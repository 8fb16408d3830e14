"""A real browser before the real web process; `make test-browser` says which one by CHROMIUM."""

import os
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from db.engine import Database
from domain.principal import Role
from ops.bench import backlog, past
from ops.bench.books import opened
from ops.config import Settings
from ops.dashboard.pages import PAGES
from tests.api.sockets import web_on
from tests.bank import bank
from tests.people import PASSWORD, rows_of, someone
from tests.postbox import postbox
from tests.scenarios.conftest import surroundings

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

__all__ = ["bank", "postbox", "surroundings"]

CHROMIUM = os.environ.get("CHROMIUM", "")
# Without a browser there is nothing to test with, and nothing of it is installed either.
collect_ignore_glob = [] if CHROMIUM else ["test_*.py"]

EMAIL = "ann@example.com"
# Nothing leaves the machine, and as root in a container there is no sandbox to be had.
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]

# For what is waited for; a machine with other work to do may need it.
PATIENCE_MS = 15_000

# Enough for lists of more than one page.
ORDERS = 700
HAPPENED = (
    """
    INSERT INTO processes (id, kind, host, pid, version, heartbeat_at, started_at, running)
    VALUES (gen_random_uuid(), 'worker', 'worker-1', 7, '1', now() - interval '1 hour',
            now() - interval '2 hours', '[{"stage": "payments", "what": "charge", "for_s": 2}]')
    """,
    """
    WITH file AS (
        INSERT INTO imports (id, format, on_error, dry_run, state, bytes, bytes_read, rows, bad)
        VALUES (gen_random_uuid(), 'csv', 'skip', true, 'reading', 2000, 500, 1234, 1) RETURNING id
    )
    INSERT INTO import_errors (import_id, line, field, detail)
    SELECT id, 2, 'variant.sku', 'Expected a SKU.' FROM file
    """,
    "INSERT INTO gateway_switches (gateway, forced, note) VALUES ('stripe', 'open', 'They move.')",
    """
    INSERT INTO gateway_breaker_changes (gateway, process, state)
    VALUES ('stripe', 'worker-1-7', 'open'), ('stripe', 'worker-1-7', 'closed')
    """,
)
ASKED = (
    "/ops/orders?q=SKU-HOT",
    "/ops/orders?q=nothing.like.it",
    "/ops/tasks?state=ready",
    "/ops/tasks?error=mailbox&act=replay",
    "/ops/stock?q=SKU-7",
)

Start = Callable[[], AbstractAsyncContextManager[object]]


class Shop:
    """The web process, which can be stopped and started on the same port."""

    def __init__(self, listener: socket.socket, start: Start) -> None:
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._start = start
        self._running = AsyncExitStack()

    async def start(self) -> None:
        await self._running.enter_async_context(self._start())

    async def stop(self) -> None:
        await self._running.aclose()


@pytest.fixture
async def shop(
    database: Database, database_url: str, redis_url: str, tmp_path: Path
) -> AsyncGenerator[Shop]:
    """The web process, and somebody of ops with an account."""
    await someone(database, EMAIL, Role.OPS)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Shop(listener, lambda: web_on(listener, database_url, redis_url, tmp_path / "log"))
        await made.start()
        yield made
        await made.stop()


@pytest.fixture
async def addresses(database: Database, settings: Settings) -> list[str]:
    """Every page of a shop in which much happened, before an admin, some with something asked."""
    async with opened(settings.database_url) as connection:
        await past.begin(connection)
        await past.write(connection, range(1, ORDERS + 1), now=ORDERS, under_way=ORDERS - 29)
        await backlog.pile_up(connection, orders=ORDERS)
        for statement in HAPPENED:
            await connection.execute(statement)
    # The audit log is for admins.
    await rows_of(database, "UPDATE users SET role = 'admin' RETURNING 1")
    paid = "SELECT id FROM orders WHERE status = 'paid' ORDER BY id DESC LIMIT 1"
    [(paid_id,)] = await rows_of(database, paid)
    [(review_id,)] = await rows_of(
        database, "SELECT id FROM orders WHERE status = 'review' LIMIT 1"
    )
    given = {"{order_id:uuid}": str(paid_id), "{sku:str}": "SKU-HOT"}
    paths = [page.path for page in PAGES]
    for parameter, value in given.items():
        paths = [path.replace(parameter, value) for path in paths]
    return [*paths, *ASKED, f"/ops/orders/{paid_id}?at=2", f"/ops/orders/{review_id}"]


@pytest.fixture
async def browser() -> AsyncGenerator["Browser"]:
    from playwright.async_api import async_playwright, expect  # noqa: PLC0415 - only with a browser

    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        await started.close()


@pytest.fixture
async def page(browser: "Browser", shop: Shop) -> AsyncGenerator["Page"]:
    """A window; whatever a page complains of, or the CSP refuses, fails the test."""
    window = await browser.new_page(base_url=shop.url)
    complaints: list[str] = []
    window.on("pageerror", lambda error: complaints.append(str(error)))
    window.on(
        "console",
        lambda said: complaints.append(said.text) if "Content Security" in said.text else None,
    )
    yield window
    assert complaints == []
    await window.close()


async def log_in(page: "Page", password: str = PASSWORD) -> None:
    await page.goto("/ops")
    await page.get_by_label("E-mail").fill(EMAIL)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Log in").click()


@pytest.fixture
async def inside(page: "Page") -> "Page":
    """A window of somebody who is logged in, and sees the overview live."""
    await log_in(page)
    await page.locator("[data-pulse][data-state=live]").wait_for()
    return page


async def visit(page: "Page", address: str) -> None:
    """Go to a page, which has to be one and no problem."""
    answer = await page.goto(address)
    assert answer is not None
    assert answer.ok, address
