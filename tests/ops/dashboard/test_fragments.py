"""Whatever lives on a page is rendered alone as it is within the page."""

import re
from collections import defaultdict
from typing import Any

import httpx
import pytest
from litestar import Litestar

from db.engine import Database
from domain.principal import Principal, PrincipalKind, Role
from ops.config import Settings
from ops.dashboard.page import Page
from ops.dashboard.pages import PAGES
from tests.api.paid import lost
from tests.bank import Bank
from tests.staff import ADMIN

PERSON = Principal(PrincipalKind.USER, ADMIN, Role.ADMIN)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
async def test_fragments_are_those_of_the_page(  # noqa: PLR0913, PLR0917 - what a page is made of
    client: httpx.AsyncClient,
    app: Litestar,
    database: Database,
    settings: Settings,
    bank: Bank,
    page: Page,
) -> None:
    location = await lost(client, database, settings, bank)
    await client.put("/v1/stock/APPLE", json={"on_hand": 50})
    given: dict[str, Any] = {"order_id": location.rpartition("/")[2], "sku": "APPLE"}
    path = re.sub(r":\w+", "", page.path).format_map(defaultdict(str, given))

    whole = (await client.get(path)).text
    fragments = await app.state.site.fragments(PERSON, path, "")

    named = set(re.findall(r'id="([\w-]+)"[^>]*data-live', whole))
    assert named == fragments.keys()
