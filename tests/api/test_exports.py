"""The catalogue as a file: whole, of one moment, and as an import takes it in."""

import asyncio
import csv
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar
from sqlalchemy import text

from db import catalogue_export, products
from db.catalogue_export import BATCH_LINES
from db.engine import Database, reading, transaction
from domain.catalogue_line import CatalogueLine
from domain.product import ProductContent
from tests.builders import put_products
from tests.web import assert_problem

Staff = dict[str, str]

PATH = "/v1/exports/products"
BOARD: dict[str, Any] = {
    "name": 'Oak "board"',
    "description": "Of one piece,\nto be oiled \\ waxed.",
    "category": "kitchen",
    "attributes": {"wood": ["oak"], "cm": 30.5},
    "images": [{"url": "https://img.example/board.png"}],
    "status": "active",
    "published_at": "2026-01-01T00:00:00Z",
}
SMALL = {"name": "Brettchen für Käse", "price_minor": 500, "currency": "GBP", "cost_minor": 0}


@pytest.fixture
async def catalogue(client: httpx.AsyncClient, staff: Staff) -> None:
    """Two variants of a product, with prices; a product alone, a variant alone, one deleted."""
    small = SMALL | {"product": "board", "options": {"size": "s"}, "barcode": "96385074"}
    for path, body in {
        "categories/kitchen": {"name": "Kitchen"},
        "products/board": BOARD,
        "products/empty": {"name": "Empty"},
        "products/gone": {"name": "Gone"},
        "variants/BOARD-S": small,
        "variants/BOARD-L": SMALL | {"product": "board", "rank": 1, "active": False},
        "variants/ALONE": SMALL,
        "variants/GONE": SMALL | {"product": "gone"},
        "price-lists/sale": {"currency": "GBP"},
        "price-lists/abroad": {"currency": "EUR"},
        "price-lists/over": {"currency": "EUR"},
        "price-lists/sale/entries/BOARD-S": {"price_minor": 400, "compare_at_minor": 500},
        "price-lists/abroad/entries/BOARD-S": {"price_minor": 450},
        "price-lists/over/entries/BOARD-S": {"price_minor": 1},
    }.items():
        answer = await client.put(f"/v1/{path}", json=body, headers=staff)
        assert answer.is_success, answer.text
    for path in ("products/gone", "price-lists/over"):
        await client.delete(f"/v1/{path}", headers=staff)


@pytest.mark.usefixtures("catalogue")
async def test_file_has_what_was_put_and_is_what_an_import_takes(
    client: httpx.AsyncClient, staff: Staff
) -> None:
    answer = await client.get(PATH, headers=staff)

    lines = [msgspec.json.decode(line, type=CatalogueLine) for line in answer.text.splitlines()]
    board, _, empty, alone = (msgspec.to_builtins(line) for line in lines)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert board == {
        "product": BOARD | {"slug": "board"},
        "variant": SMALL | {"sku": "BOARD-S", "options": {"size": "s"}, "barcode": "96385074"},
        "prices": [
            {"list": "abroad", "price_minor": 450},
            {"list": "sale", "price_minor": 400, "compare_at_minor": 500},
        ],
    }
    assert [line.variant and line.variant.sku for line in lines] == [
        *("BOARD-S", "BOARD-L"),
        None,
        "ALONE",
    ]
    assert (empty["product"]["slug"], alone) == ("empty", {"variant": SMALL | {"sku": "ALONE"}})


@pytest.mark.usefixtures("catalogue")
async def test_table_has_the_same_cells(client: httpx.AsyncClient, staff: Staff) -> None:
    answer = await client.get(PATH, params={"format": "csv"}, headers=staff)

    kind = answer.headers["content-type"]
    assert (kind.partition(";")[0], kind.count("charset=utf-8")) == ("text/csv", 1)
    rows = list(csv.DictReader(answer.text.splitlines(keepends=True)))
    assert [row["variant.sku"] for row in rows] == ["BOARD-S", "BOARD-L", "", "ALONE"]
    assert rows[0]["product.description"] == BOARD["description"]
    assert msgspec.json.decode(rows[0]["product.attributes"]) == BOARD["attributes"]
    assert [row["variant.active"] for row in rows] == ["true", "false", "", "true"]
    assert [row["variant.cost_minor"] for row in rows] == ["0", "0", "", "0"]
    assert rows[3]["product.slug"] == rows[3]["prices"] == ""


async def test_file_is_of_one_moment_however_long_it_takes(database: Database) -> None:
    count = BATCH_LINES + 1
    await put_products(database, **{f"A{n}": 1 for n in range(count)})
    async with transaction(database) as tx:
        await products.put(tx, "board", ProductContent(name="Board"))

    async with reading(database) as tx:
        read = catalogue_export.batches(tx)
        first = await anext(read)
        async with transaction(database) as other:
            await other.execute(text("UPDATE variants SET name = 'late'"))
        rest = [batch async for batch in read]

    assert [len(batch) for batch in (first, *rest)] == [1, BATCH_LINES, 1]
    assert not any("late" in line for batch in rest for line in batch)


async def test_second_export_of_a_process_waits_for_the_first_to_end(
    client: httpx.AsyncClient, app: Litestar, staff: Staff
) -> None:
    exporting: asyncio.Lock = app.state.exporting

    async with exporting:
        refused = await client.get(PATH, headers=staff)
    taken = await client.get(PATH, headers=staff)

    assert_problem(refused, 503, "unavailable")
    assert (taken.status_code, taken.text) == (200, "")
    assert not exporting.locked()
