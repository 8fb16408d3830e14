"""Live pages: each is rendered again for all who watch it, and sent where it changed."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import ClassVar, final

import msgspec

from domain.refusal import Refusal
from ops.telemetry import metrics

log = logging.getLogger(__name__)

EVERY_S = 2.0
# A page that takes long to read is read less often, so that it takes no more than this share.
_SHARE_MAX = 0.015
# Proxies hang up on what is silent for 30 to 60 s.
KEEP_ALIVE_S = 15.0
# Who watches may have lost the right to, e.g. by a logout elsewhere.
ASK_AGAIN_S = 5.0
# A team has ten; a reader costs some kilobytes and a socket.
CLIENTS_MAX = 200
# Pages that are rendered at the same time, so that the API keeps most of the pool.
_RENDERED_AT_ONCE = 2
_RETRY_MS = 2000
# A page that could not be read stands still; that is logged so often.
_TOLD_EVERY_S = 60.0

Fragments = Mapping[str, str]
Render = Callable[[], Awaitable[Fragments]]
StillThere = Callable[[], Awaitable[bool]]


class TooManyWatch(Refusal):
    """This process serves as many streams as it may."""

    code: ClassVar[str] = "overloaded"


@final
class Broadcast:
    """One page as it is now, and when each of its fragments last changed."""

    def __init__(self, render: Render, turns: asyncio.Semaphore, every_s: float) -> None:
        self._render = render
        self._turns = turns
        self._every_s = every_s
        # Ids of another life of this page, or of another process, say nothing here.
        self._epoch = secrets.token_hex(4)
        self._version = 0
        self._html: dict[str, tuple[int, str]] = {}
        self._moved = asyncio.Event()
        self._told_at = -_TOLD_EVERY_S
        self._running = asyncio.create_task(self._run())
        self.watchers = 0

    def position(self, last_id: str) -> int:
        """Tell how far a reader has come, by the id of the last event they had."""
        epoch, _, number = last_id.partition("-")
        return int(number) if epoch == self._epoch and number.isdecimal() else 0

    def since(self, position: int) -> tuple[str, int]:
        """Write what changed since, and give the position of who has read it."""
        events = [
            _event("fragment", {"id": name, "html": html}, f"{self._epoch}-{version}")
            for name, (version, html) in sorted(self._html.items(), key=lambda item: item[1][0])
            if version > position
        ]
        return "".join(events), self._version

    async def moved(self) -> None:
        """Wait until it has been rendered again."""
        await self._moved.wait()

    def stop(self) -> asyncio.Task[None]:
        """Stop rendering, and wake who waits; gives what ends soon."""
        self._running.cancel()
        self._moved.set()
        return self._running

    async def _run(self) -> None:
        while True:
            began = time.monotonic()
            try:
                async with self._turns:
                    began = time.monotonic()
                    self._take(await self._render())
            except Refusal as refusal:
                if self._is_news():
                    log.warning("A page stands still: %s", refusal.detail)
            except Exception:
                if self._is_news():
                    log.exception("A page stands still")
            took_s = time.monotonic() - began
            await asyncio.sleep(max(self._every_s, took_s / _SHARE_MAX))

    def _take(self, fragments: Fragments) -> None:
        changed = [n for n, html in fragments.items() if self._html.get(n, (0, ""))[1] != html]
        if changed:
            self._version += 1
            self._html |= {name: (self._version, fragments[name]) for name in changed}
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _is_news(self) -> bool:
        now = time.monotonic()
        is_news = now - self._told_at >= _TOLD_EVERY_S
        self._told_at = now if is_news else self._told_at
        return is_news


@final
class Live:
    """The broadcasts of one process, one per page, query and role that somebody watches."""

    def __init__(
        self,
        *,
        clients_max: int = CLIENTS_MAX,
        every_s: float = EVERY_S,
        ask_again_s: float = ASK_AGAIN_S,
        keep_alive_s: float = KEEP_ALIVE_S,
    ) -> None:
        self._clients_max = clients_max
        self._every_s = every_s
        self._ask_again_s = ask_again_s
        self._keep_alive_s = keep_alive_s
        self._clients = 0
        self._broadcasts: dict[tuple[str, ...], Broadcast] = {}
        self._turns = asyncio.Semaphore(_RENDERED_AT_ONCE)
        self._ending = set[asyncio.Task[None]]()
        self._closing = False

    def reserve(self) -> None:
        """Refuse one reader too many, before anything is answered."""
        if self._clients >= self._clients_max or self._closing:
            raise TooManyWatch("Too many dashboards are open: close one, or try again soon.")

    async def stream(
        self, key: tuple[str, ...], render: Render, *, last_id: str, still_there: StillThere
    ) -> AsyncGenerator[str]:
        """Give the events of a page until its reader may not read it any more, or we stop.

        A reader that takes its time misses what is superseded: nothing waits in a queue.
        """
        broadcast = self._join(key, render)
        try:
            yield f"retry: {_RETRY_MS}\n\n"
            text, position = broadcast.since(broadcast.position(last_id))
            asked_at = said_at = time.monotonic()
            while not self._closing:
                if text:
                    said_at = time.monotonic()
                    yield text
                moved = await self._moved(broadcast)
                text, position = broadcast.since(position)
                now = time.monotonic()
                if moved:
                    text += _event("rendered", {"at": round(time.time() * 1000)})
                elif now - said_at >= self._keep_alive_s:
                    text = ": keep-alive\n\n"
                if now - asked_at >= self._ask_again_s:
                    asked_at = now
                    if not await still_there():
                        return
        finally:
            self._leave(key, broadcast)

    async def _moved(self, broadcast: Broadcast) -> bool:
        """Wait for the next rendering, for so long that one that does not come is noticed."""
        try:
            async with asyncio.timeout(min(self._ask_again_s, self._keep_alive_s)):
                await broadcast.moved()
        except TimeoutError:
            return False
        return True

    def _join(self, key: tuple[str, ...], render: Render) -> Broadcast:
        if key not in self._broadcasts:
            self._broadcasts[key] = Broadcast(render, self._turns, self._every_s)
        broadcast = self._broadcasts[key]
        broadcast.watchers += 1
        self._clients += 1
        metrics.sse_clients.inc()
        return broadcast

    def _leave(self, key: tuple[str, ...], broadcast: Broadcast) -> None:
        broadcast.watchers -= 1
        self._clients -= 1
        metrics.sse_clients.dec()
        if not broadcast.watchers:
            del self._broadcasts[key]
            self._ending.add(ending := broadcast.stop())
            ending.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """End all streams; who reads one asks another process."""
        self._closing = True
        running = [broadcast.stop() for broadcast in self._broadcasts.values()]
        await asyncio.gather(*running, *self._ending, return_exceptions=True)


def _event(name: str, data: Mapping[str, object], event_id: str = "") -> str:
    # JSON has no line breaks of its own, so one line of data is enough.
    said = msgspec.json.encode(data).decode()
    ident = f"id: {event_id}\n" if event_id else ""
    return f"event: {name}\n{ident}data: {said}\n\n"
