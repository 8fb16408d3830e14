"""The pictures of docs/screenshots, taken of a platform of their own: `make screenshots`.

Orders, payments and trouble are real; only the hour before, which the charts show, is written.
"""

import secrets
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, LiteralString

import aiohttp
import msgspec
from playwright.async_api import Page, async_playwright
from rich.console import Console

from ops.bench.books import Connection, opened
from ops.local import demo, sample
from ops.local.access import Access, own
from ops.local.client import Client, NewOrder, connected
from ops.local.interrupt import run_until_told
from ops.local.program import CHECKOUT
from ops.local.sample import LOST_ANSWER_CARD
from ops.local.staff import EMAIL, admin_password
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.waiting import eventually

FOLDER = CHECKOUT / "docs" / "screenshots"
WIDTH, HEIGHT = 1280, 900
# The rest of a page that is longer would not be read in a README; an order's story begins late.
HEIGHT_MAX, ORDER_HEIGHT_MAX = 1100, 1230
ORDERS = 300
# Payments that the gateway says nothing about; of those so many are for a person to decide.
UNKNOWN, REVIEW = 3, 2
# Orders right before a picture, so that the last minute has some.
RUSH = 40
WITHIN_S = 60.0
SCHEMES: Sequence[Literal["light", "dark"]] = ("light", "dark")

_HOUR = """
    INSERT INTO samples (minute, name, label, value)
    SELECT date_trunc('minute', now()) - make_interval(mins => m), name, label,
           round((size * (1 + 0.35 * sin(m / 9.0) + 0.3 * random()))::numeric, scale)
    FROM generate_series(1, 60) AS m, (VALUES
        ('orders', 'placed', 120, 0), ('orders', 'paid', 108, 0), ('orders', 'declined', 3, 0),
        ('orders', 'cancelled', 8, 0), ('orders', 'review', 0, 0), ('settle_s', 'p50', 0.16, 3),
        ('settle_s', 'p95', 0.6, 3), ('oldest_due_s', 'inventory', 0.02, 3),
        ('oldest_due_s', 'payments', 0.2, 3), ('oldest_due_s', 'notifications', 0.05, 3),
        ('oldest_due_s', 'housekeeping', 0, 0), ('oldest_due_s', 'reconciliation', 0, 0),
        ('oldest_due_s', 'shipping', 0, 0), ('oldest_due_s', 'webhooks', 0, 0)
    ) AS series (name, label, size, scale)
    ON CONFLICT (minute, name, label) DO UPDATE SET value = excluded.value
    """
_LONG_AGO = """
    WITH old AS (
        UPDATE payment_attempts SET sent_at = sent_at - interval '2 days'
        WHERE state = 'unknown' RETURNING order_id
    )
    UPDATE tasks SET run_at = now() FROM old
    WHERE tasks.order_id = old.order_id AND state = 'ready'
    """
_PAID = "SELECT status = 'paid' FROM orders WHERE id = %s"
_UNKNOWN = """
    SELECT count(*) >= %s FROM payment_attempts a JOIN orders o ON o.id = order_id
    WHERE a.state = 'unknown' AND o.status = 'reserved'
    """
_REVIEW = "SELECT count(*) >= %s FROM orders WHERE status = 'review'"


class Scene(msgspec.Struct, frozen=True):
    """A page of which a picture is taken, and what happens right before."""

    name: str
    path: str
    before: Callable[[], Awaitable[object]]
    height_max: int = HEIGHT_MAX


async def main() -> None:
    """Take all pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="orderflow-screenshots-") as folder:
        async with own(Path(folder), "platform.log", Console(highlight=False)) as access:
            await _of(access, admin_password(Path(folder)))


async def _of(access: Access, password: str) -> None:
    clients = connected(access.url, admin_api_key=access.admin_api_key, connections=1)
    async with (
        clients as client,
        opened(access.database_url) as connection,
        async_playwright() as playwright,
    ):
        scenes = await _scenes(access, client, connection)
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        window = await browser.new_page(
            base_url=access.url, viewport={"width": WIDTH, "height": HEIGHT}
        )
        await _log_in(window, password)
        for scene in scenes:
            await scene.before()
            await _take(window, scene)
        await browser.close()


async def _log_in(window: Page, password: str) -> None:
    await window.goto("/ops")
    await window.get_by_label("E-mail").fill(EMAIL)
    await window.get_by_label("Password").fill(password)
    await window.get_by_role("button", name="Log in").click()


async def _take(window: Page, scene: Scene) -> None:
    for scheme in SCHEMES:
        await window.emulate_media(color_scheme=scheme)
        await window.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        await window.goto(scene.path)
        await window.locator("[data-pulse][data-state=live]").wait_for()
        # As high as the page, so that its frame is, too.
        height: int = await window.evaluate("document.documentElement.scrollHeight")
        await window.set_viewport_size({"width": WIDTH, "height": min(height, scene.height_max)})
        file = FOLDER / f"{scene.name}-{scheme}.png"
        await window.screenshot(path=file)
        sys.stdout.write(f"{file}: {file.stat().st_size / 1000:.0f} kB\n")


async def _scenes(access: Access, client: Client, connection: Connection) -> Sequence[Scene]:
    """Bring many orders to their ends, one of them by way of a lost answer and a refund."""
    drawn = sample.draw(run=secrets.token_hex(3), orders=ORDERS)
    await demo.run(access, drawn, Console(quiet=True))
    good = next(one.order for one in drawn.orders if one.expected == sample.PAID)
    good = msgspec.structs.replace(good, payment_method="pm_card_visa", lines=good.lines[:1])
    lost = msgspec.structs.replace(good, payment_method=LOST_ANSWER_CARD)
    placed = await client.place(lost, key=secrets.token_hex(6))
    await _until(connection, _PAID, placed.id)
    await client.refund(placed.id, 100, reason="requested_by_customer", key=secrets.token_hex(6))

    async def rush() -> None:
        await connection.execute(_HOUR)
        for _ in range(RUSH):
            await client.place(good, key=secrets.token_hex(6))

    trouble = partial(_trouble, access, client, connection, good)
    return (
        Scene("overview", "/ops", rush),
        Scene("order", f"/ops/orders/{placed.id}", rush, ORDER_HEIGHT_MAX),
        Scene("payments", "/ops/payments", trouble),
    )


async def _trouble(access: Access, client: Client, at: Connection, order: NewOrder) -> None:
    """Lose answers of the gateway, and have it break down when it is asked again."""
    async with aiohttp.ClientSession(access.gateway_url, raise_for_status=True) as gateway:
        for operation in ("search", "get"):
            await gateway.post("/faults", json={"fault": "error-500", "operation": operation})

        async def lose(count: int) -> None:
            fault = {"fault": "charged-then-reset", "operation": "charge", "count": count}
            await gateway.post("/faults", json=fault)
            for _ in range(count):
                await client.place(order, key=secrets.token_hex(6))
            await _until(at, _UNKNOWN, count)

        await lose(REVIEW)
        await at.execute(_LONG_AGO)
        await _until(at, _REVIEW, REVIEW)
        # One that goes well lets the breaker forget those that did not.
        await client.place(order, key=secrets.token_hex(6))
        await lose(UNKNOWN)


async def _until(at: Connection, query: LiteralString, given: object) -> None:
    async def is_so() -> bool:
        return await (await at.execute(query, [given])).fetchone() == (True,)

    await eventually(is_so, within_s=WITHIN_S)


if __name__ == "__main__":
    run_until_told(main())
