import asyncio
import smtplib
from collections.abc import AsyncGenerator
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import pytest

from tests.outside import Sandbox, Start


@pytest.fixture
async def browser() -> AsyncGenerator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_mail_is_shown_with_everything_in_it_escaped(
    outside: Sandbox, browser: aiohttp.ClientSession
) -> None:
    evil = "<script>alert(1)</script>"
    n = await deliver(outside, browser, a_mail(subject=f"Hi {evil}", text=f"Text {evil} & £5"))

    async with browser.get(f"{outside.inbox_url}/mails/{n}") as response:
        page = await response.text()
        policy = response.headers["Content-Security-Policy"]

    assert evil not in page
    assert "Hi &lt;script&gt;" in page
    assert "Text &lt;script&gt;alert(1)&lt;/script&gt; &amp; £5" in page
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_newest_mails_are_listed_first_and_paged(start: Start, tmp_path: Path) -> None:
    sandbox = start(tmp_path)
    for number in range(1, 53):
        give(sandbox, a_mail(subject=f"Number {number}."))

    async with aiohttp.ClientSession() as session:
        newest = await text(session, f"{sandbox.inbox_url}/")
        older = await text(session, f"{sandbox.inbox_url}/?before=3")
    sandbox.stop()

    assert "52 mails" in newest
    assert newest.index("Number 52.") < newest.index("Number 3.")
    assert "Number 2." not in newest
    assert "/?before=3" in newest
    assert "Number 2." in older
    assert "Number 3." not in older
    assert "/?before=53" in older


async def test_empty_inbox_has_a_page(start: Start, tmp_path: Path) -> None:
    sandbox = start(tmp_path)
    async with aiohttp.ClientSession() as session:
        page = await text(session, sandbox.inbox_url)
    sandbox.stop()

    assert "No mail yet" in page


async def test_programs_read_on_from_where_they_were(
    outside: Sandbox, browser: aiohttp.ClientSession
) -> None:
    since = (await json(browser, f"{outside.inbox_url}/count"))["count"]
    ids = [f"{uuid4()}@test" for _ in range(3)]
    for message_id in ids:
        await deliver(outside, browser, a_mail(message_id=message_id, subject="Grüße € ok"))

    everything = await json(browser, f"{outside.inbox_url}/mails.json?since={since}")
    one = await json(browser, f"{outside.inbox_url}/mails.json?since={since + 1}&limit=1")

    assert [mail["message_id"] for mail in everything["mails"]] == ids
    assert everything["count"] == since + 3
    assert [mail["message_id"] for mail in one["mails"]] == ids[1:2]
    assert everything["mails"][0]["subject"] == "Grüße € ok"
    assert everything["mails"][0]["to"] == "bob@example.com"


async def test_mails_outlive_the_process(start: Start, tmp_path: Path) -> None:
    first = start(tmp_path)
    give(first, a_mail(subject="Kept"))
    first.process.kill()
    first.stop()

    second = start(tmp_path)
    async with aiohttp.ClientSession() as session:
        kept = await json(session, f"{second.inbox_url}/mails.json")
    second.stop()

    assert [mail["subject"] for mail in kept["mails"]] == ["Kept"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no headers at all",
        b"Subject: \xff\xfe\r\nContent-Type: text/plain; charset=klingon\r\n\r\n\xff\xfe",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\nno part",
        b"Content-Type: text/html\r\n\r\n<b onclick=alert(1)>bold</b>",
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!",
        b"Subject: =?utf-8?q?broken?=\r\nTo: <<<>>>;;@@\r\nDate: never\r\n\r\n",
    ],
)
async def test_malformed_mail_is_still_shown(
    outside: Sandbox, browser: aiohttp.ClientSession, raw: bytes
) -> None:
    n = await deliver(outside, browser, raw)

    for path in (f"/mails/{n}", f"/mails/{n}/source", "/", f"/mails.json?since={n - 1}"):
        async with browser.get(outside.inbox_url + path) as response:
            assert response.status == 200
            assert response.content_type != "text/html" or b"<b on" not in await response.read()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/mails/999999999", 404),
        ("/mails/0", 404),
        ("/mails/0/source", 404),
        ("/mails.json?since=-1", 400),
        ("/mails.json?limit=1001", 400),
        ("/?before=x", 400),
        ("/nowhere", 404),
    ],
)
async def test_what_is_not_there_is_refused_under_the_same_policy(
    outside: Sandbox, browser: aiohttp.ClientSession, path: str, status: int
) -> None:
    async with browser.get(outside.inbox_url + path) as response:
        assert response.status == status
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_source_is_never_taken_for_a_page(
    outside: Sandbox, browser: aiohttp.ClientSession
) -> None:
    n = await deliver(outside, browser, b"Subject: x\r\n\r\n<script>alert(1)</script>")

    async with browser.get(f"{outside.inbox_url}/mails/{n}/source") as response:
        assert response.content_type == "text/plain"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_style_sheet_is_served(outside: Sandbox, browser: aiohttp.ClientSession) -> None:
    async with browser.get(f"{outside.inbox_url}/inbox.css") as response:
        assert response.content_type == "text/css"


def a_mail(
    *, subject: str = "Hello", text: str = "Text", message_id: str = "one@test"
) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"], mail["To"], mail["From"] = subject, "bob@example.com", "ann@example.com"
    mail["Message-ID"] = f"<{message_id}>"
    mail.set_content(text)
    return mail


def give(sandbox: Sandbox, mail: EmailMessage | bytes) -> None:
    relay = urlsplit(sandbox.smtp_url)
    raw = mail if isinstance(mail, bytes) else mail.as_bytes()
    with smtplib.SMTP(relay.hostname or "", relay.port or 0, timeout=10) as smtp:
        smtp.sendmail("ann@example.com", ["bob@example.com"], raw)


async def deliver(
    sandbox: Sandbox, browser: aiohttp.ClientSession, mail: EmailMessage | bytes
) -> int:
    """Give a mail to the relay and return its number."""
    await asyncio.to_thread(give, sandbox, mail)
    return (await json(browser, f"{sandbox.inbox_url}/count"))["count"]


async def text(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as response:
        assert response.status == 200
        return await response.text()


async def json(session: aiohttp.ClientSession, url: str) -> Any:
    async with session.get(url) as response:
        assert response.status == 200
        return await response.json()
