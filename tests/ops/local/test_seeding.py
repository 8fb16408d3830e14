"""What a file sells is put into the platform, parents before children, with stock for all."""

import json
from datetime import date

from aiohttp import web

from ops.local.assortment import Assortment, assort
from ops.local.invoices import Article
from ops.local.seeding import seed, size
from tests.ops.local.answering import ACCEPTED, answers, says, serving

NOTHING = Assortment([], [], [])


class Uncounted:
    def advance(self) -> None:
        """Nobody looks."""

    def reach(self, done: int) -> None:
        """Nobody looks."""


async def test_stock_is_set_so_that_all_of_it_is_for_sale_whatever_is_held() -> None:
    article = Article(sku="lamp", name="Lamp", price_minor=500, sold=10)
    held = answers({"on_hand": 10, "reserved": 3})

    async with serving(answers(ACCEPTED), held, held) as (client, asked):
        await seed(client, NOTHING, [article], Uncounted())
    free = await _bodies(asked)

    async with serving(answers(ACCEPTED), says(409, "stock_below_reserved"), held, held) as (
        client,
        asked,
    ):
        await seed(client, NOTHING, [article], Uncounted())
    refused = await _bodies(asked)

    assert free[1:] == [{"on_hand": 10}, {"on_hand": 13}]
    assert refused[1:] == [{"on_hand": 10}, None, {"on_hand": 13}]


async def test_variant_is_put_into_its_product_and_its_weeks_into_lists() -> None:
    lamp = Article("lamp", "Lamp", 100, 9, {date(2010, 12, 27): 90})
    assortment = assort([lamp])
    level = answers({"on_hand": 9, "reserved": 0})

    async with serving(*[answers({})] * 3, level, *[answers({})] * 2) as (client, asked):
        await seed(client, assortment, [lamp], Uncounted())

    assert [f"{request.method} {request.path}" for request in asked] == [
        "PUT /v1/categories/other",
        "PUT /v1/products/lamp-lamp",
        "PUT /v1/variants/lamp",
        "PUT /v1/stock/lamp",
        "PUT /v1/price-lists/2010-w52",
        "PATCH /v1/price-lists/2010-w52/entries",
    ]
    bodies = await _bodies(asked)
    assert bodies[1] == {"name": "Lamp", "category": "other", "status": "active"}
    assert bodies[2] == {
        "name": "Lamp",
        "price_minor": 100,
        "currency": "GBP",
        "product": "lamp-lamp",
        "options": {},
    }
    assert bodies[5] == {"put": [{"sku": "lamp", "price_minor": 90}]}
    assert size(assortment, [lamp]) == 4


async def _bodies(asked: list[web.Request]) -> list[object]:
    """What was sent, as the server has read it."""
    return [json.loads(body) if (body := await request.read()) else None for request in asked]
