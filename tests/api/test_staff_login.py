"""The way into the dashboard, and what its cookie opens."""

import re
from collections.abc import Mapping

import httpx
import pytest

from db.engine import Database
from domain.principal import Role
from tests.people import PASSWORD, someone

HERE: Mapping[str, str] = {"Sec-Fetch-Site": "same-origin"}
EMAIL = "ann@example.com"


async def log_in(
    browser: httpx.AsyncClient, *, headers: Mapping[str, str] = HERE, **more: str
) -> httpx.Response:
    form = {"email": EMAIL, "password": PASSWORD, "code": "", "next": "", **more}
    return await browser.post("/ops/login", data=form, headers=headers)


async def csrf(browser: httpx.AsyncClient) -> str:
    page = await browser.get("/ops")
    [token] = re.findall('name="csrf-token" content="([0-9a-f]{64})"', page.text)
    return token


@pytest.fixture
async def browser(stranger: httpx.AsyncClient, database: Database) -> httpx.AsyncClient:
    """A browser, and somebody of ops who sits before it."""
    await someone(database, EMAIL, Role.OPS)
    return stranger


async def test_who_logs_in_is_led_to_the_page_and_let_in(browser: httpx.AsyncClient) -> None:
    asked = await browser.get("/ops?what=x")
    answer = await log_in(browser, next="/ops")
    page = await browser.get("/ops")

    assert (asked.status_code, asked.headers["location"]) == (
        303,
        "/ops/login?next=%2Fops%3Fwhat%3Dx",
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/ops")
    assert page.status_code == 200
    assert "Overview" in page.text


async def test_cookie_is_for_this_host_alone_and_for_no_script(browser: httpx.AsyncClient) -> None:
    plain = (await log_in(browser)).headers["set-cookie"]
    async with httpx.AsyncClient(
        transport=browser._transport,  # noqa: SLF001 - the same application over TLS
        base_url="https://orderflow.test",
    ) as over_tls:
        secure = (await log_in(over_tls)).headers["set-cookie"]

    assert re.fullmatch(r"orderflow=[0-9a-f.]{130}; Path=/; HttpOnly; SameSite=Strict", plain)
    assert re.fullmatch(
        r"__Host-orderflow=[0-9a-f.]{130}; Path=/; HttpOnly; SameSite=Strict; Secure", secure
    )
