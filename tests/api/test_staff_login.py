"""The way into the dashboard, and what its cookie opens."""

import re
from collections.abc import AsyncGenerator, Mapping

import httpx
import msgspec
import pytest
from litestar import Litestar

from api.application import build
from api.staff_login import here
from db.engine import Database
from domain.principal import Role
from ops.config import Settings
from tests.people import PASSWORD, WRONG, logged_in, otp, rows_of, someone, with_factor
from tests.staff import ADMIN, SESSION
from tests.web import asking, assert_problem, served

HERE: Mapping[str, str] = {"Sec-Fetch-Site": "same-origin"}
EMAIL = "ann@example.com"
REFUSED = "The password is wrong, or there is no such account, or it may not log in."


async def log_in(
    browser: httpx.AsyncClient, *, headers: Mapping[str, str] = HERE, **more: str
) -> httpx.Response:
    form = {"email": EMAIL, "password": PASSWORD, "code": "", "next": "", **more}
    return await browser.post("/ops/login", data=form, headers=headers)


async def csrf(browser: httpx.AsyncClient) -> str:
    page = await browser.get("/ops")
    [token] = re.findall('name="csrf-token" content="([0-9a-f]{64})"', page.text)
    return token


async def is_let_in(browser: httpx.AsyncClient) -> bool:
    answer = await browser.get("/ops")
    assert answer.status_code in {200, 303}, answer.text
    return answer.status_code == 200


@pytest.fixture
async def browser(stranger: httpx.AsyncClient, database: Database) -> httpx.AsyncClient:
    """A browser, and somebody of ops who sits before it."""
    await someone(database, EMAIL, Role.OPS)
    return stranger


@pytest.fixture
async def over_tls(app: Litestar, browser: httpx.AsyncClient) -> AsyncGenerator[httpx.AsyncClient]:
    """Another browser of theirs, which comes over TLS."""
    del browser
    async with asking(app) as client:
        client.base_url = "https://orderflow.test"
        yield client


async def test_who_logs_in_is_led_to_the_page_they_wanted(browser: httpx.AsyncClient) -> None:
    asked = await browser.get("/ops?what=x")
    answer = await log_in(browser, next="/ops?what=x")

    assert asked.status_code == 303
    assert asked.headers["location"] == "/ops/login?next=%2Fops%3Fwhat%3Dx"
    assert (answer.status_code, answer.headers["location"]) == (303, "/ops?what=x")
    assert await is_let_in(browser)
    again = await browser.get("/ops/login?next=/ops")
    assert (again.status_code, again.headers["location"]) == (303, "/ops")


async def test_cookie_is_for_this_host_alone_and_for_no_script(
    browser: httpx.AsyncClient, over_tls: httpx.AsyncClient
) -> None:
    plain = (await log_in(browser)).headers["set-cookie"]
    secure = (await log_in(over_tls)).headers["set-cookie"]

    value, kept = "[0-9a-f]{32}[.][0-9a-f]{32}[.][0-9a-f]{64}", "Path=/; HttpOnly; SameSite=Strict"
    assert re.fullmatch(f"orderflow={value}; {kept}", plain)
    assert re.fullmatch(f"__Host-orderflow={value}; {kept}; Secure", secure)
    assert await is_let_in(over_tls)


async def test_cookie_of_plain_http_opens_nothing_over_tls(
    browser: httpx.AsyncClient, over_tls: httpx.AsyncClient
) -> None:
    cookie = (await log_in(browser)).headers["set-cookie"].partition(";")[0]

    answer = await over_tls.get("/ops", headers={"Cookie": cookie})

    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("name", "value"),
    [("email", "eve@example.com"), ("email", "no address"), ("password", WRONG), ("password", "")],
)
async def test_who_does_not_show_who_they_are_is_told_no_more_than_that(
    browser: httpx.AsyncClient, name: str, value: str
) -> None:
    given = {"email": EMAIL, "password": PASSWORD, name: value}
    answer = await browser.post("/ops/login", data=given, headers=HERE)

    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert PASSWORD not in answer.text
    assert WRONG not in answer.text
    assert (REFUSED if value in {WRONG, "eve@example.com"} else "Give an e-mail") in answer.text


async def test_second_factor_is_asked_for_and_taken_once(
    browser: httpx.AsyncClient, database: Database
) -> None:
    secret, [recovery, *_], _ = await with_factor(browser, await logged_in(browser), database)

    without = await log_in(browser)
    code = otp(secret)
    taken, repeated = await log_in(browser, code=code), await log_in(browser, code=code)
    recovered = await log_in(browser, code=recovery)

    assert (without.status_code, repeated.status_code) == (401, 401)
    assert (taken.status_code, recovered.status_code) == (303, 303)


async def test_customer_is_told_that_this_is_for_staff(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    await someone(database, EMAIL)

    answer = await log_in(stranger)
    sessions = await rows_of(database, "SELECT id FROM sessions s WHERE user_agent IS NOT NULL")

    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("text/html")
    assert "is not one of the staff" in answer.text
    assert "set-cookie" not in answer.headers
    assert sessions == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {},
    ],
)
async def test_form_of_another_site_logs_nobody_in(
    browser: httpx.AsyncClient, headers: Mapping[str, str]
) -> None:
    answer = await log_in(browser, headers=headers)

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_form_is_ours_by_its_origin_where_a_browser_says_no_more(
    browser: httpx.AsyncClient,
) -> None:
    answer = await log_in(browser, headers={"Origin": "http://orderflow.test"})

    assert answer.status_code == 303


async def test_guesses_are_counted_with_those_at_the_api(
    settings: Settings, database: Database, valkey: object
) -> None:
    del valkey  # emptied of what was counted before
    await someone(database, EMAIL, Role.OPS)
    few = build(msgspec.structs.replace(settings, rate_login=3))
    async with served(few, {}) as browser:
        body = {"email": EMAIL, "password": WRONG}
        answers = [
            await log_in(browser, password=WRONG),
            await browser.post("/v1/sessions", json=body),
            await log_in(browser, password=WRONG),
            await log_in(browser),
        ]

    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert answers[-1].headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("wanted", "page"),
    [
        ("/ops", "/ops"),
        ("/ops/tasks?state=dead&kind=charge", "/ops/tasks?state=dead&kind=charge"),
        *((elsewhere, "/ops") for elsewhere in (
            *("", "ops", "/", "/opsy", "/v1/orders", "//evil.example", "//evil.example/ops"),
            *("https://evil.example/ops", "/\\evil.example", "javascript:alert(1)", "/ops/login"),
            *("/ops/logout", "/ops/live?page=/ops", "/ops\r\nSet-Cookie: a=b", "http:///ops"),
            *("http://[", "/ops/é"),
        )),
    ],
)  # fmt: skip
def test_nobody_is_led_elsewhere(wanted: str, page: str) -> None:
    assert here(wanted) == page


async def test_cookie_alone_opens_no_operation_of_the_api(browser: httpx.AsyncClient) -> None:
    await log_in(browser)
    token = await csrf(browser)

    def asks(**headers: str) -> Mapping[str, str]:
        return {name.replace("_", "-"): value for name, value in headers.items()}

    for headers in (
        {},
        asks(Sec_Fetch_Site="same-origin"),
        asks(X_CSRF_Token=token, Sec_Fetch_Site="cross-site"),
        asks(X_CSRF_Token=token, Origin="https://evil.example"),
        asks(X_CSRF_Token=token[::-1], Sec_Fetch_Site="same-origin"),
    ):
        answer = await browser.get("/v1/queues", headers=headers)
        assert_problem(answer, 401, "unauthenticated")
    written = {"paused": True, "running_max": None}
    silent = await browser.put("/v1/queues/shipping", json=written, headers={"X-CSRF-Token": token})
    assert_problem(silent, 401, "unauthenticated")
    good = {"X-CSRF-Token": token, **HERE}
    assert (await browser.get("/v1/queues", headers=good)).status_code == 200
    put = await browser.put("/v1/queues/shipping", json=written, headers=good)
    assert put.status_code == 200


async def test_token_is_that_of_the_session(app: Litestar, browser: httpx.AsyncClient) -> None:
    async with asking(app) as other:
        await log_in(other)
        theirs = await csrf(other)
    await log_in(browser)

    answer = await browser.get("/v1/queues", headers={"X-CSRF-Token": theirs, **HERE})

    assert_problem(answer, 401, "unauthenticated")


async def test_who_logs_out_is_out_and_nobody_else_logs_them_out(
    browser: httpx.AsyncClient,
) -> None:
    await log_in(browser)
    token, cookie = await csrf(browser), dict(browser.cookies)

    forged = await browser.post("/ops/logout", data={"csrf": "x"}, headers=HERE)
    assert forged.status_code == 403
    assert await is_let_in(browser)
    answer = await browser.post("/ops/logout", data={"csrf": token}, headers=HERE)

    assert (answer.status_code, answer.headers["location"]) == (303, "/ops/login")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    browser.cookies.update(cookie)
    assert not await is_let_in(browser)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE users SET role = 'customer' WHERE id <> :a RETURNING id",
        "UPDATE users SET disabled_at = now() WHERE id <> :a RETURNING id",
        "UPDATE sessions SET revoked_at = now(), revoked_reason = 'mfa' WHERE id <> :s RETURNING 1",
        "UPDATE sessions SET expires_at = now() WHERE id <> :s RETURNING id",
        "UPDATE sessions SET last_used_at = now() - interval '4 h' WHERE id <> :s RETURNING id",
    ],
)
async def test_what_changes_counts_on_the_next_request(
    browser: httpx.AsyncClient, database: Database, change: str
) -> None:
    await log_in(browser)
    assert await is_let_in(browser)

    assert len(await rows_of(database, change, a=ADMIN, s=SESSION)) == 1
    answer = await browser.get("/ops")

    assert answer.status_code == (403 if "role" in change else 303)


async def test_session_ends_after_a_shift_however_it_is_used(
    browser: httpx.AsyncClient, database: Database
) -> None:
    await log_in(browser)

    query = "SELECT expires_at - created_at <= interval '12 h' FROM sessions WHERE address = :at"
    assert await rows_of(database, query, at="127.0.0.1") == [(True,)]


@pytest.mark.parametrize("at", [0, 33, 70, 129])
async def test_altered_cookie_is_nobodys(browser: httpx.AsyncClient, at: int) -> None:
    await log_in(browser)
    value = browser.cookies["orderflow"]
    forged = value[:at] + ("0" if value[at] != "0" else "1") + value[at + 1 :]

    browser.cookies.clear()
    answer = await browser.get("/ops", headers={"Cookie": f"orderflow={forged}"})

    assert answer.status_code == 303


async def test_two_cookies_of_the_name_are_none(browser: httpx.AsyncClient) -> None:
    await log_in(browser)
    value = browser.cookies["orderflow"]

    browser.cookies.clear()
    twice = {"Cookie": f"orderflow={value}; orderflow={value}"}
    answer = await browser.get("/ops", headers=twice)

    assert answer.status_code == 303
    assert (await browser.get("/ops", headers={"Cookie": f"a=b; orderflow={value}"})).is_success


async def test_link_on_another_site_leads_on_by_our_own_page(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/ops?a=%22%3E", headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 200
    assert 'content="0;url=/ops?a=%22%3E"' in answer.text


@pytest.mark.parametrize("path", ["/ops", "/ops/login", "/ops/nothing", "/ops?nothing=1"])
async def test_pages_trust_nothing_but_what_is_here(browser: httpx.AsyncClient, path: str) -> None:
    await log_in(browser)
    if path == "/ops/login":
        browser.cookies.clear()

    answer = await browser.get(path)

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    assert not re.search(r"<script(?![^>]* src=)|<style|style=|\son\w+=|https?://", answer.text)


async def test_stream_is_for_who_may_see_the_page_and_says_so_to_a_script(
    browser: httpx.AsyncClient,
) -> None:
    nobody = await browser.get("/ops/live?page=/ops")
    await log_in(browser)
    nowhere = await browser.get("/ops/live?page=/ops/nothing")
    misasked = await browser.get("/ops/live?page=/ops%3Fnothing=1")

    assert_problem(nobody, 401, "unauthenticated")
    assert_problem(nowhere, 404, "not_found")
    assert_problem(misasked, 400, "invalid_request")


async def test_files_are_named_by_their_content_and_kept(browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/ops/login")).text
    for path in re.findall(r'(?:src|href)="(/ops/static/[^"]+)"', page):
        answer = await browser.get(path)
        again = await browser.get(path, headers={"If-None-Match": answer.headers["etag"]})

        assert answer.status_code == 200
        assert answer.headers["etag"].strip('"') in path
        assert "immutable" in answer.headers["cache-control"]
        assert (again.status_code, again.content) == (304, b"")
    assert (await browser.get("/ops/static/..%2Froutes.py")).status_code == 404
