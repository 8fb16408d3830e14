"""The dashboard of one process: what its pages are read from, and who may see which."""

from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol, final

import msgspec
from litestar.types import Scope

from db.engine import Database, reading
from db.reach import Reach
from domain.principal import Policy, Principal, may
from domain.refusal import Refusal
from ops.dashboard import render
from ops.dashboard.live import Fragments, Live
from ops.dashboard.page import Page, find
from ops.dashboard.pages import PAGES

# A page is read within the time that a person waits for one, or not at all.
READ_WITHIN_S = 4.0


class NotForYou(Refusal):
    """The page is for others."""

    code: ClassVar[str] = "forbidden"


class Door(Protocol):
    """Who knows the people in front of the pages."""

    def csrf_token(self, principal: Principal) -> str:
        """Give the token that an operation of the API needs beside the cookie."""
        ...

    async def is_still(self, scope: Scope) -> bool:
        """Tell whether who sent a request would be let in again, as the same."""
        ...


@final
class Site:
    """What all pages have in common."""

    def __init__(
        self,
        database: Database,
        reach: Reach,
        policies: Mapping[str, Policy],
        door: Door,
        *,
        live: Live | None = None,
    ) -> None:
        self.live = live or Live()
        self.pages = PAGES
        self.door = door
        self._database = database
        self._reach = reach
        self._policies = policies

    def may(self, principal: Principal) -> Callable[[str], bool]:
        """Give the question whether somebody may do an operation, e.g. `POST /v1/orders`."""
        return lambda operation: may(self._policies[operation], principal)

    def demand(self, operation: str, principal: Principal) -> None:
        """Raise NotForYou unless somebody may do an operation."""
        if not self.may(principal)(operation):
            raise NotForYou("Your role does not allow this.")

    async def page(self, principal: Principal, path: str, query: str) -> str:
        """Render the page at a path; raises Misasked, NotFound, Unavailable."""
        page = find(self.pages, path)
        context = await self._context(page, page.read(path, query), principal)
        return render.page(page.template, {**context, **self._frame(page, principal)})

    async def fragments(self, principal: Principal, path: str, query: str) -> Fragments:
        """Render what lives on the page at a path; the same for all in one role."""
        page = find(self.pages, path)
        context = await self._context(page, page.read(path, query), principal)
        return render.fragments(page.template, context)

    async def _context(
        self, page: Page, asked: msgspec.Struct, principal: Principal
    ) -> Mapping[str, object]:
        is_away = await self._reach.is_away()
        async with reading(self._database, timeout_s=READ_WITHIN_S) as tx:
            shown = await page.show(tx, asked)
        return {
            "may": self.may(principal),
            "role": principal.role,
            "redis_is_away": is_away,
            "asked": asked,
            **shown,
        }

    def _frame(self, page: Page, principal: Principal) -> Mapping[str, object]:
        may = self.may(principal)
        return {
            "page": page,
            "csrf": self.door.csrf_token(principal),
            "navigation": [one for one in self.pages if one.nav and may(one.operation)],
        }

    async def close(self) -> None:
        """End the streams, and let go of Redis."""
        await self.live.close()
        await self._reach.close()
