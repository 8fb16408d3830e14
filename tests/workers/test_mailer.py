import asyncio
import signal
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from domain.mail import Mail, Refused, Sent, Unsent
from ops.config import SettingInvalid, Settings
from tests.outside import Sandbox, Start
from workers.mailer import SmtpMailer

CONNECTIONS = Path("/proc/net/tcp")
SILENCE = b"(the relay says nothing until they hang up)"


@pytest.fixture
async def mailer(outside: Sandbox) -> AsyncGenerator[SmtpMailer]:
    async with a_mailer(outside.smtp_url) as made:
        yield made


async def test_mail_arrives_whole(mailer: SmtpMailer, outside: Sandbox) -> None:
    mail = a_mail(subject="Grüße € your order", text="Grüße.\n.\nTotal: £12.30\n")

    assert await mailer.send(mail) == Sent()

    arrived = await find(outside, mail)
    assert arrived["sender"] == "orders@orderflow.example"
    assert arrived["to"] == "ann@example.com"
    assert arrived["subject"] == "Grüße € your order"
    assert arrived["text"].replace("\r\n", "\n") == mail.text
    assert ["From", "Orderflow <orders@orderflow.example>"] in arrived["headers"]


@pytest.mark.skipif(not CONNECTIONS.exists(), reason="Only Linux lists connections in a file.")
async def test_mails_share_a_few_connections(outside: Sandbox) -> None:
    mails = [a_mail() for _ in range(50)]
    with_open = connections_to(outside)

    async with a_mailer(outside.smtp_url, smtp_concurrency=3) as mailer:
        deliveries = await asyncio.gather(*map(mailer.send, mails))
        open_now = connections_to(outside) - with_open

    assert deliveries == [Sent()] * 50
    assert 1 <= open_now <= 3
    arrived = {each["message_id"] for each in (await read(outside, "/mails.json"))["mails"]}
    assert {mail.message_id for mail in mails} <= arrived


async def test_refused_recipient_is_refused_and_the_next_mail_goes(
    mailer: SmtpMailer, outside: Sandbox
) -> None:
    refused = await mailer.send(a_mail(to="ann@refused.example"))
    after = a_mail()
    sent = await mailer.send(after)

    assert isinstance(refused, Refused)
    assert "550" in refused.reason
    assert sent == Sent()
    await find(outside, after)


async def test_deferred_recipient_is_unsent(mailer: SmtpMailer) -> None:
    assert isinstance(await mailer.send(a_mail(to="ann@deferred.example")), Unsent)
    assert await mailer.send(a_mail()) == Sent()


async def test_connection_lost_after_the_mail_went_out_is_unsent(
    mailer: SmtpMailer, outside: Sandbox
) -> None:
    mail = a_mail(to="ann@dropped.example")

    assert isinstance(await mailer.send(mail), Unsent)

    # The relay has it: a second copy would come under the same Message-ID.
    await find(outside, mail)
    assert await mailer.send(a_mail()) == Sent()


@pytest.mark.parametrize("name", ["to", "subject", "message_id"])
async def test_header_cannot_be_injected(mailer: SmtpMailer, outside: Sandbox, name: str) -> None:
    before = await count(outside)
    mail = a_mail(**{name: "ann@example.com\r\nBcc: eve@example.com"})

    assert isinstance(await mailer.send(mail), Refused)
    assert await count(outside) == before


async def test_address_beyond_ascii_reaches_a_relay_that_takes_it(
    mailer: SmtpMailer, outside: Sandbox
) -> None:
    mail = a_mail(to="jürgen@exämple.com")

    assert await mailer.send(mail) == Sent()
    assert (await find(outside, mail))["to"] == "jürgen@exämple.com"


async def test_quoted_address_is_delivered(mailer: SmtpMailer) -> None:
    assert await mailer.send(a_mail(to='"ann b"@example.com')) == Sent()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_relay_that_comes_back_gets_the_next_mail(
    start: Start, tmp_path: Path, how: signal.Signals
) -> None:
    first = start(tmp_path)
    async with a_mailer(first.smtp_url) as mailer:
        assert await mailer.send(a_mail()) == Sent()
        first.stop(how)
        while_down = await mailer.send(a_mail())
        second = start(tmp_path, SANDBOX_SMTP_PORT=first.smtp_url.rpartition(":")[2])
        mail = a_mail()
        after = await mailer.send(mail)

        assert isinstance(while_down, Unsent)
        assert after == Sent()
        await find(second, mail)
    assert second.stop() == 0


async def test_connection_that_the_relay_closed_meanwhile_costs_no_mail(
    start: Start, tmp_path: Path
) -> None:
    first = start(tmp_path)
    async with a_mailer(first.smtp_url) as mailer:
        assert await mailer.send(a_mail()) == Sent()
        first.stop()
        second = start(tmp_path, SANDBOX_SMTP_PORT=first.smtp_url.rpartition(":")[2])
        # Meanwhile the loop runs, as a worker's does.
        assert await count(second) == 1

        assert await mailer.send(a_mail()) == Sent()
    second.stop()


async def test_conversation_that_was_given_up_is_not_continued_with_the_next_mail() -> None:
    hello = (b"220 hi", b"250 hello")
    willing = (*hello, b"250 ok", b"250 ok", b"354 go", b"250 kept", b"221 bye")
    async with (
        relay_saying(*hello, SILENCE, then=willing) as url,
        a_mailer(url, smtp_timeout_s=0.5, smtp_concurrency=1) as mailer,
    ):
        given_up = await mailer.send(a_mail())
        next_mail = await mailer.send(a_mail())

    assert isinstance(given_up, Unsent)
    assert next_mail == Sent()


async def test_relay_that_says_nothing_is_given_up() -> None:
    async with relay_saying(SILENCE) as url, a_mailer(url, smtp_timeout_s=0.2) as mailer:
        assert isinstance(await mailer.send(a_mail()), Unsent)


@pytest.mark.parametrize(
    "script",
    [
        (b"554 go away",),
        (b"421 too busy",),
        (b"not smtp",),
        (b"220 hi", b"500 what", b"500 what"),
        (b"220 hi", b"250 hello", b"530 authenticate first"),
        (b"220 hi", b"250 hello", b"250 ok", b"250 ok", b"354 go", b"451 later"),
        (b"220 hi", b"250 hello", b"250 ok", b"250 ok", b"354 go", b"25"),
    ],
)
async def test_relay_that_does_not_take_the_mail_leaves_it_unsent(script: Sequence[bytes]) -> None:
    async with relay_saying(*script) as url, a_mailer(url, smtp_timeout_s=2) as mailer:
        assert isinstance(await mailer.send(a_mail()), Unsent)


@pytest.mark.parametrize(
    "script",
    [
        (b"220 hi", b"250 hello", b"552 too big"),
        (b"220 hi", b"250 hello", b"250 ok", b"550 nobody"),
        (b"220 hi", b"250 hello", b"250 ok", b"250 ok", b"354 go", b"554 spam"),
    ],
)
async def test_definite_no_of_the_relay_is_refused(script: Sequence[bytes]) -> None:
    async with relay_saying(*script) as url, a_mailer(url, smtp_timeout_s=2) as mailer:
        assert isinstance(await mailer.send(a_mail()), Refused)


async def test_reason_does_not_repeat_the_address_as_relays_do() -> None:
    script = (b"220 hi", b"250 hello", b"250 ok", b"550 5.1.1 <ANN@example.com>: not here")
    async with relay_saying(*script) as url, a_mailer(url, smtp_timeout_s=2) as mailer:
        refused = await mailer.send(a_mail(to="ann@example.com"))

    assert refused == Refused("The relay said 550 5.1.1 <the recipient>: not here")


async def test_address_beyond_ascii_is_refused_by_a_relay_that_cannot_take_it() -> None:
    script = (b"220 hi", b"250 hello")
    async with relay_saying(*script) as url, a_mailer(url, smtp_timeout_s=2) as mailer:
        assert isinstance(await mailer.send(a_mail(to="jürgen@example.com")), Refused)


async def test_secret_never_goes_in_clear() -> None:
    heard: list[bytes] = []
    script = (b"220 hi", b"250-hello\r\n250 AUTH PLAIN LOGIN", b"502 no TLS here", b"250 ok")
    async with relay_saying(*script, heard=heard) as url:
        with_secret = url.replace("smtp://", "smtp://ann:s3cret%40@")
        async with a_mailer(with_secret, smtp_timeout_s=2) as mailer:
            assert isinstance(await mailer.send(a_mail()), Unsent)

    assert heard
    assert not any(line.upper().startswith(b"AUTH") for line in heard)


@pytest.mark.parametrize(
    "wrong",
    [
        {"smtp_url": "http://example.com"},
        {"smtp_url": "smtp://"},
        {"smtp_url": "smtp://host:0"},
        {"smtp_url": "smtp://host:99999"},
        {"smtp_url": "localhost:25"},
        {"mail_from": "nobody"},
        {"mail_from": "Shop <shop@example.com>\r\nBcc: eve@example.com"},
        {"mail_from": "a@example.com, b@example.com"},
    ],
)
def test_setting_that_cannot_be_used_is_named(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(SettingInvalid, match=name.upper()):
        SmtpMailer(Settings(**wrong))


@asynccontextmanager
async def a_mailer(url: str, **changes: Any) -> AsyncGenerator[SmtpMailer]:
    mailer = SmtpMailer(Settings(smtp_url=url, **changes))
    try:
        yield mailer
    finally:
        await mailer.close()


@asynccontextmanager
async def relay_saying(
    *script: bytes, then: Sequence[bytes] = (), heard: list[bytes] | None = None
) -> AsyncGenerator[str]:
    """Run a relay that says one line of a script for each that it hears, then hangs up.

    A second connection gets the script `then`.
    """
    scripts = [script, then]
    said = heard if heard is not None else []
    talks: list[asyncio.Task[None] | None] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())
        end = b"\n"
        try:
            for number, line in enumerate(scripts.pop(0)):
                if number:
                    said.append(await reader.readuntil(end))
                if line is SILENCE:
                    await reader.readuntil(b"they hung up")
                writer.write(line + b"\r\n")
                end = b"\r\n.\r\n" if line.startswith(b"354") else b"\n"
        except asyncio.IncompleteReadError as cut:
            said.append(cut.partial)
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.wait_for(asyncio.gather(*filter(None, talks)), 5)


def a_mail(
    *,
    to: str = "ann@example.com",
    subject: str = "Hello",
    text: str = "Text\n",
    message_id: str | None = None,
) -> Mail:
    return Mail(message_id or f"{uuid4()}@orderflow", to, subject, text)


async def find(sandbox: Sandbox, mail: Mail) -> dict[str, Any]:
    """Return the one mail of this Message-ID in the inbox."""
    (found,) = [
        each for each in (await read(sandbox, "/mails.json"))["mails"]
        if each["message_id"] == mail.message_id
    ]  # fmt: skip
    return found


async def count(sandbox: Sandbox) -> int:
    return (await read(sandbox, "/count"))["count"]


async def read(sandbox: Sandbox, path: str) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.get(sandbox.inbox_url + path) as response,
    ):
        return await response.json()


def connections_to(sandbox: Sandbox) -> int:
    """Count the sandbox's established connections on its mail port."""
    port = f":{int(sandbox.smtp_url.rpartition(':')[2]):04X}"
    rows = CONNECTIONS.read_text().splitlines()
    return sum(row.split()[1].endswith(port) and row.split()[3] == "01" for row in rows[1:])
