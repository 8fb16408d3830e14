"""`python -m ops.sandbox`: gateway, mail relay and inbox in one process, until stopped."""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop
from aiohttp import web

from ops.config import SettingInvalid, Settings, settings
from ops.sandbox import smtp
from ops.sandbox.gateway import Gateway
from ops.sandbox.inbox import Inbox
from ops.sandbox.journal import JournalUnusable
from ops.sandbox.mailbox import Mailbox
from ops.sandbox.webhooks import Endpoint

_HOST = "127.0.0.1"
# What is under way may end; an answer held back on purpose is not waited for.
_GRACE_S = 0.3
# Longer than a caller keeps an idle connection, so that it is the caller who closes it.
_KEEP_ALIVE_S = 75.0


async def serve(config: Settings) -> int:
    """Run everything until told to stop; return the exit status."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    folder = Path(config.sandbox_dir)
    async with AsyncExitStack() as stack:
        gateway, mailbox = Gateway(folder, _endpoint(config)), Mailbox(folder)
        stack.callback(gateway.close)
        stack.callback(mailbox.journal.close)
        relay = await smtp.listen(mailbox, _HOST, config.sandbox_smtp_port)
        stack.callback(relay.close)
        money = await _site(stack, gateway.application(), config.sandbox_gateway_port)
        inbox = await _site(stack, Inbox(mailbox).application(), config.sandbox_inbox_port)
        mail = relay.sockets[0].getsockname()[1]
        _say(
            f"gateway http://{_HOST}:{money}",
            f"inbox http://{_HOST}:{inbox}",
            f"smtp smtp://{_HOST}:{mail}",
            "ready",
        )
        return await _until(stop, gateway.journal.failed, mailbox.journal.failed)


def _endpoint(config: Settings) -> Endpoint | None:
    if not config.sandbox_webhook_url:
        return None
    return Endpoint(config.sandbox_webhook_url, config.sandbox_webhook_secret)


async def _site(stack: AsyncExitStack, app: web.Application, port: int) -> int:
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=_GRACE_S, keepalive_timeout=_KEEP_ALIVE_S
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, _HOST, port).start()
    return int(runner.addresses[0][1])


async def _until(stop: asyncio.Event, *failed: asyncio.Event) -> int:
    waits = [asyncio.create_task(event.wait()) for event in (stop, *failed)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    if any(event.is_set() for event in failed):
        _say("The sandbox stops: it cannot write to its folder. Is the disk full?")
        return 1
    return 0


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run from the environment."""
    try:
        return uvloop.run(serve(settings()))
    except (SettingInvalid, JournalUnusable, OSError) as error:
        sys.stderr.write(f"The sandbox cannot start: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
