"""Queues, tasks, workers and schedules with real clicks, before real workers and clocks."""

from functools import partial

from playwright.async_api import Page, expect

from db import processes, queues
from db.engine import Database, transaction
from db.ids import new_id
from db.processes import LOST_AFTER_S, ProcessView
from domain.task import Queue
from tests.bank import Bank
from tests.builders import a_placement, place, put_products
from tests.people import rows_of
from tests.records import at_rest, statuses
from tests.scenarios.processes import Surroundings, running
from tests.waiting import eventually

SOON_MS = 15_000


async def go_ahead(page: Page) -> None:
    await page.get_by_role("dialog").get_by_role("button", name="Go ahead").click()


async def test_paused_queue_stops_and_resumes(
    inside: Page, database: Database, surroundings: Surroundings, bank: Bank
) -> None:
    await put_products(database, APPLE=10)
    await inside.goto("/ops/queues")
    payments = inside.locator("#queue-payments")
    async with running(surroundings, "worker", "clock"):
        await inside.get_by_role("button", name="Pause payments").click()
        await expect(payments).to_contain_text("paused")
        await expect(payments).to_contain_text("ann@example.com")
        await place(database, a_placement(("APPLE", 1)))
        # The number of what is due there, without a reload.
        await expect(payments.locator("td.number").first).to_have_text("1", timeout=SOON_MS)
        while_paused = await statuses(database)

        await inside.get_by_role("button", name="Resume payments").click()
        await expect(payments).to_contain_text("takes work")
        await eventually(partial(at_rest, database))

    assert (while_paused, await statuses(database)) == ({"reserved": 1}, {"paid": 1})
    assert bank.verbs() == ["charge"]


async def test_what_another_one_changed_of_a_queue_stays_changed(
    inside: Page, database: Database
) -> None:
    await inside.goto("/ops/queues")
    payments = inside.locator("#queue-payments")
    async with transaction(database) as tx:
        await queues.put(tx, Queue.PAYMENTS, running_max=7, by=None)
    await expect(payments).to_contain_text("0 of 7")
    # What is typed stays while the row changes around it: the drain's button goes.
    await inside.get_by_label("Most of payments").fill("3")
    await inside.get_by_role("button", name="Pause payments").click()
    await expect(payments).to_contain_text("paused")
    await expect(payments).to_contain_text("0 of 7")
    await inside.get_by_role("button", name="Limit payments").click()
    await expect(payments).to_contain_text("0 of 3")

    state = "SELECT paused, running_max FROM queues WHERE name = 'payments'"
    assert await rows_of(database, state) == [(True, 3)]


async def dead_tasks(database: Database) -> None:
    """Three dead mails, and a dead charge whose payment was sent."""
    await put_products(database, APPLE=10)
    [order_id] = await place(database, a_placement(("APPLE", 1)))
    attempt = """
        INSERT INTO payment_attempts (id, order_id, kind, state, amount_minor, currency, gateway,
                                      sent_at)
        VALUES (:id, :order_id, 'charge', 'unknown', 500, 'GBP', 'stripe', now()) RETURNING id
        """
    await rows_of(database, attempt, id=new_id(), order_id=order_id)
    dead = """
        INSERT INTO tasks (queue, kind, state, order_id, attempt, attempts_max, last_error,
                           finished_at)
        SELECT 'notifications', kind, 'dead', :order_id, 3, 3, 'Relay 10.0.0.7 is away', now()
        FROM unnest(ARRAY['notify', 'notify', 'notify', 'charge']) AS kind RETURNING id
        """
    await rows_of(database, dead, order_id=order_id)


async def test_all_that_match_are_replayed_after_a_dry_run_and_put_back(
    inside: Page, database: Database, surroundings: Surroundings
) -> None:
    await dead_tasks(database)
    async with running(surroundings, "clock"):
        await inside.goto("/ops/tasks")
        await expect(inside.locator("#causes")).to_contain_text("Relay … is away")
        await inside.get_by_role("link", name="Replay: dry run").click()
        judged = inside.locator("#judged")
        await expect(judged).to_contain_text("4 match, 3 safe, 1 left out.")
        await expect(judged).to_contain_text("is sent and its outcome open")

        await inside.get_by_role("button", name="Replay 3").click()
        await go_ahead(inside)
        bulk = inside.locator("#bulks tbody tr").first
        await expect(bulk).to_contain_text("3 of 4", timeout=SOON_MS)
        await expect(bulk).to_contain_text("1 at gateway")
        await expect(inside.locator("#tasks tbody tr")).to_have_count(1, timeout=SOON_MS)

        await inside.get_by_role("button", name="Undo").click()
        await go_ahead(inside)
        await expect(inside.locator("#tasks tbody tr")).to_have_count(4, timeout=SOON_MS)

    ready = "SELECT count(*) FROM tasks WHERE kind = 'charge' AND state <> 'dead'"
    assert await rows_of(database, ready) == [(0,)]


async def test_killed_worker_is_seen_as_lost_and_another_is_asked_to_stop(
    inside: Page, database: Database, surroundings: Surroundings
) -> None:
    async def workers() -> list[ProcessView]:
        async with transaction(database) as tx:
            found = await processes.page(tx)
        return [one for one in found if one.kind == "worker" and not one.lost]

    await inside.goto("/ops/workers")
    async with running(surroundings, "worker") as fleet:
        [first] = await eventually(workers)
        killed = inside.locator(f'[data-key="{first.id}"]')
        await expect(killed).to_contain_text("alive", timeout=SOON_MS)

        await fleet.kill("worker")
        past = (
            "UPDATE processes SET heartbeat_at = now() - make_interval(secs => :s) WHERE id = :id"
        )
        await rows_of(database, f"{past} RETURNING id", s=LOST_AFTER_S + 1, id=first.id)
        await expect(killed).to_contain_text("lost", timeout=SOON_MS)

        [second] = await eventually(workers)
        await inside.get_by_role("button", name=f"Stop worker {second.pid}").click()
        await go_ahead(inside)

        async def replaced() -> bool:
            found = await workers()
            return bool(found) and second.id not in {one.id for one in found}

        await eventually(replaced)
        await expect(inside.locator(f'[data-key="{second.id}"]')).to_have_count(0, timeout=SOON_MS)


async def test_job_is_paused_and_runs_all_the_same_when_it_is_asked_to(
    inside: Page, database: Database, surroundings: Surroundings
) -> None:
    await inside.goto("/ops/schedules")
    prune = inside.locator("#job-prune")
    await inside.get_by_role("button", name="Pause prune").click()
    await expect(prune).to_contain_text("paused")

    await expect(prune.locator("time")).to_have_count(1)

    async def pruned() -> bool:
        return bool(await rows_of(database, "SELECT id FROM tasks WHERE kind = 'prune'"))

    async with running(surroundings, "clock"):
        await inside.get_by_role("button", name="Run now: prune").click()
        await eventually(pruned)
        await expect(prune).not_to_contain_text("asked to run", timeout=SOON_MS)

    assert len(await rows_of(database, "SELECT id FROM tasks WHERE kind = 'prune'")) == 1
    await expect(prune).to_contain_text("paused")
