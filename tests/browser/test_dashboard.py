"""The dashboard with real clicks and keys: what people and not only programs find there."""

from playwright.async_api import Page, expect

from db.engine import Database
from tests.browser.conftest import Shop, log_in
from tests.builders import a_placement, place, put_products
from tests.people import WRONG, rows_of


async def test_who_logs_in_sees_the_overview_and_logs_out(page: Page) -> None:
    await log_in(page)
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()

    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("button", name="Log in")).to_be_visible()
    await page.goto("/ops")

    await expect(page.get_by_role("button", name="Log in")).to_be_visible()


async def test_wrong_password_is_told_and_the_address_kept(page: Page) -> None:
    await log_in(page, WRONG)

    await expect(page.get_by_role("alert")).to_contain_text("The password is wrong")
    await expect(page.get_by_label("E-mail")).to_have_value("ann@example.com")
    await expect(page.get_by_label("Password")).to_be_focused()


async def test_numbers_change_while_one_looks(inside: Page, database: Database) -> None:
    tile = inside.locator(".tile", has_text="Placed").first.locator("dd").first
    await expect(tile).to_have_text("0")
    await inside.evaluate("window.unchanged = true")

    await put_products(database, APPLE=10)
    await place(database, *(a_placement(("APPLE", 1)) for _ in range(3)))

    await expect(tile).to_have_text("3", timeout=10_000)
    assert await inside.evaluate("window.unchanged")


async def test_stream_is_found_again_after_the_server_was_away(inside: Page, shop: Shop) -> None:
    pulse = inside.locator("[data-pulse]")

    await shop.stop()
    await expect(pulse).to_have_attribute("data-state", "reconnecting", timeout=15_000)
    await shop.start()

    await expect(pulse).to_have_attribute("data-state", "live", timeout=30_000)
    await expect(pulse).to_contain_text("live")


async def test_page_of_who_was_logged_out_elsewhere_shows_the_login(
    inside: Page, database: Database
) -> None:
    end = "UPDATE sessions SET revoked_at = now(), revoked_reason = 'user' RETURNING 1"
    await rows_of(database, end)

    await expect(inside.get_by_role("button", name="Log in")).to_be_visible(timeout=30_000)


async def test_everything_is_done_by_keys(page: Page) -> None:
    await page.goto("/ops")
    await expect(page.get_by_label("E-mail")).to_be_focused()
    await page.keyboard.type("ann@example.com")
    await page.keyboard.press("Tab")
    await page.keyboard.type("correct horse battery staple")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    await page.wait_for_load_state()

    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    await page.get_by_role("button", name="Colours").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("html")).to_have_attribute("data-theme", "light")
    await page.keyboard.press("Enter")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await page.get_by_role("button", name="Log out").focus()
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("button", name="Log in")).to_be_visible()


FORM = """
<form data-api="PUT /v1/queues/{queue}" data-done="It is done." data-confirm="Pause it?">
  <input type="hidden" name="queue" value="shipping">
  <input type="hidden" name="paused" value="true" data-type="boolean">
  <label>At a time <input type="number" name="running_max" data-empty="null"></label>
  <button>Pause it now</button>
</form>
"""


async def test_action_asks_first_then_goes_through_the_api_and_shows_what_came_of_it(
    inside: Page, database: Database
) -> None:
    await inside.evaluate(
        "f => document.querySelector('h1').insertAdjacentHTML('afterend', f)", FORM
    )
    state = "SELECT paused, running_max FROM queues WHERE name = 'shipping'"
    button = inside.get_by_role("button", name="Pause it now")

    await button.click()
    await inside.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert await rows_of(database, state) == [(False, None)]
    await inside.get_by_label("At a time").fill("-1")
    await button.click()
    await inside.get_by_role("dialog").get_by_role("button", name="Go ahead").click()
    await expect(inside.get_by_role("status")).to_contain_text("running_max")
    await inside.get_by_label("At a time").fill("3")
    await button.click()
    await expect(inside.get_by_role("dialog")).to_be_visible()
    await inside.keyboard.press("Tab")
    await inside.keyboard.press("Enter")
    await expect(inside.get_by_role("status")).to_contain_text("It is done.")

    assert await rows_of(database, state) == [(True, 3)]
    await expect(inside.locator("tr", has_text="shipping")).to_contain_text("paused")
    audited = "SELECT action, after FROM audit_log"
    [(action, after)] = await rows_of(database, audited)
    assert (action, after["running_max"]) == ("queue.put", 3)
