"""Every page, read from a real database: whole, and what lives on it by itself."""

import re
from collections.abc import AsyncGenerator

import msgspec
import pytest
from litestar import Litestar

from api.application import build
from api.policy import POLICIES
from db.engine import Database
from domain.principal import Principal, PrincipalKind, Role
from ops.config import Settings
from ops.dashboard import render
from ops.dashboard.page import Page
from ops.dashboard.pages import PAGES
from ops.dashboard.site import NotForYou, Site
from tests.web import served

ADMIN = Principal(PrincipalKind.USER, role=Role.ADMIN)
# A page of one thing is tested where there is that thing.
LISTS = [page for page in PAGES if "{" not in page.path]


@pytest.fixture
async def site(app: Litestar) -> AsyncGenerator[Site]:
    async with served(app):
        yield app.state.site


@pytest.mark.parametrize("page", LISTS, ids=lambda page: page.path)
async def test_what_lives_on_a_page_is_drawn_alike_alone_and_with_the_rest(
    site: Site, page: Page
) -> None:
    whole = await site.page(ADMIN, page.path, "")
    alone = await site.fragments(ADMIN, page.path, "")

    named = re.findall(r"block live_(\w+)", (render.TEMPLATES / page.template).read_text())
    assert set(alone) == {"banner", *(name.replace("_", "-") for name in named)}
    assert page.title in whole
    for html in alone.values():
        [headings, *_] = [re.findall("<h2[^>]*>[^<]*", html)]
        assert all(heading in whole for heading in headings)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_page_is_for_staff_alone(page: Page) -> None:
    assert Role.CUSTOMER not in POLICIES[page.operation].roles
    assert not POLICIES[page.operation].public


async def test_page_is_refused_to_who_may_not_see_it(site: Site) -> None:
    with pytest.raises(NotForYou):
        site.demand(PAGES[0].operation, Principal(PrincipalKind.USER, role=Role.CUSTOMER))


async def test_banner_says_that_redis_is_away_and_pages_go_on(
    settings: Settings, database: Database
) -> None:
    del database
    app = build(msgspec.structs.replace(settings, redis_url="redis://127.0.0.1:1/0"))
    async with served(app):
        site: Site = app.state.site
        shown = await site.fragments(ADMIN, "/ops", "")

    assert "Redis cannot be reached." in shown["banner"]
    assert "inventory" in shown["stages"]
