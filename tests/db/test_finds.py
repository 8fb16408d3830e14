"""Search finds what a shop's customers mean, and keeps up with whatever writes the catalogue."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import text

from db import find_upkeep
from db.engine import Database, transaction
from db.finds import Finds
from domain.search import Found, Place, Sort, Wanted
from tests.catalogue import Goods, put_category, put_goods, put_prices
from tests.waiting import eventually

SHELVES: Mapping[str, Goods] = {
    "red-lantern": Goods(
        name="RED METAL LANTERN",
        category="lanterns",
        attributes={"colour": "red", "material": "metal"},
        variants={"LAN-R": (1200, 5), "LAN-RX": (1500, 0)},
        barcode="5012345678900",
    ),
    "white-lantern": Goods(
        name="White Hanging Lantern",
        category="lanterns",
        attributes={"colour": "white", "material": ["metal", "glass"]},
        variants={"LAN-W": (800, 0)},
    ),
    "candle": Goods(
        name="Scented Candle",
        description="For every lantern, with the scent of roses.",
        category="light",
        attributes={"colour": "red"},
        variants={"CAN": (300, 9)},
    ),
    "cafe": Goods(
        name="Café Children's T-Light Holders",
        keywords="bistro",
        variants={"CAF": (450, 9)},
    ),
    "draft": Goods(name="Lantern to come", status="draft", variants={"DRA": (1, 1)}),
    "future": Goods(
        name="Lantern of tomorrow", published="2099-01-01T00:00:00Z", variants={"FUT": (1, 1)}
    ),
}


@pytest.fixture
async def shop(database: Database) -> Finds:
    """A search in a shop with few things on its shelves."""
    async with transaction(database) as tx:
        await put_category(tx, "home")
        await put_category(tx, "light", "home")
        await put_category(tx, "lanterns", "light")
        for slug, goods in SHELVES.items():
            await put_goods(tx, slug, goods)
    return Finds(database)


async def find(shop: Finds, text: str | None = None, **wanted: Any) -> Found:
    return await shop.search(Wanted(text=text, **wanted), after=None, limit=20, facets=True)


async def slugs(shop: Finds, text: str | None = None, **wanted: Any) -> list[str]:
    return [hit.slug for hit in (await find(shop, text, **wanted)).hits]


async def do(database: Database, statement: str, **given: Any) -> None:
    async with transaction(database) as tx:
        await tx.execute(text(statement), given)


TYPED: Mapping[str, list[str]] = {
    "lantern": ["white-lantern", "red-lantern", "candle"],
    "Lanterns": ["white-lantern", "red-lantern", "candle"],
    "LANT": ["white-lantern", "red-lantern", "candle"],
    "lantern red": ["red-lantern", "candle"],
    "white lanten": ["white-lantern"],
    "hnaging lantren": ["white-lantern"],
    "cafe": ["cafe"],
    "childrens tlight": ["cafe"],
    "t-light": ["cafe"],
    "bistro": ["cafe"],
    "the scent of a rose": ["candle"],
    "lan-r": ["red-lantern"],
    "5012345678900": ["red-lantern"],
    "glass": ["white-lantern"],
    "hanging bistro": ["white-lantern", "cafe"],
    "zebra": [],
    "& | ! ( ) : * ' \\": [],
    "": [],
}


async def test_what_is_typed_is_found_the_nearest_first(shop: Finds) -> None:
    assert {typed: await slugs(shop, typed) for typed in TYPED} == TYPED


async def test_a_word_that_was_corrected_is_told(shop: Finds) -> None:
    corrected = await find(shop, "hnaging lantern")
    right = await find(shop, "hanging lantern")
    partial = await find(shop, "candle bistro")

    assert (corrected.corrected, corrected.every_word) == ("hanging lantern", True)
    assert (right.corrected, right.every_word) == (None, True)
    assert (partial.corrected, partial.every_word) == (None, False)


async def test_typed_words_come_before_begun_ones_and_those_before_corrected_ones(
    shop: Finds, database: Database
) -> None:
    async with transaction(database) as tx:
        for slug, name in {"exact": "lant", "begun": "lantana", "near": "lamt"}.items():
            await put_goods(tx, slug, Goods(name=name))

    assert (await slugs(shop, "lant"))[0] == "exact"
    assert "near" not in await slugs(shop, "lant")
    assert (await slugs(shop, "lantn"))[0] in {"exact", "begun"}


async def test_hits_are_marked_in_pieces_that_are_the_text(shop: Finds) -> None:
    [hit] = (await find(shop, "children cafe")).hits

    assert "".join(piece.text for piece in hit.highlight) == hit.name
    assert [piece.text for piece in hit.highlight if piece.hit] == ["Café", "Children's"]


async def test_facets_leave_out_their_own_filter_and_no_other(shop: Finds) -> None:
    found = await find(
        shop, category="light", currency="GBP", attributes={"colour": ["red"]}, available=True
    )

    facets = found.facets
    assert facets is not None
    assert sorted(hit.slug for hit in found.hits) == ["candle", "red-lantern"]
    assert found.total == 2
    assert {one.slug: one.count for one in facets.categories} == {
        "home": 2,
        "light": 2,
        "lanterns": 1,
    }
    # The white lantern is sold out, so that only the filter of colours may be left out for it.
    colours = {one.value: one.count for one in facets.attributes if one.name == "colour"}
    assert colours == {"red": 2}
    assert {one.available: one.count for one in facets.availability} == {True: 2}
    assert [(one.from_minor, one.count) for one in facets.prices] == [(200, 1), (1000, 1)]
    white = await find(shop, category="lanterns", attributes={"colour": ["red"]})
    assert white.facets is not None
    assert {one.value for one in white.facets.attributes if one.name == "colour"} == {
        "red",
        "white",
    }
    assert {one.value for one in white.facets.attributes if one.name == "material"} == {"metal"}


async def test_price_is_that_of_the_best_list_that_is_valid_now(
    shop: Finds, database: Database
) -> None:
    async with transaction(database) as tx:
        await put_prices(tx, "sale", {"LAN-R": 500})
        await put_prices(tx, "later", {"LAN-W": 1}, window=("2099-01-01", None))
        await put_prices(tx, "over", {"CAN": 1}, window=(None, "2020-01-01"))
        await put_prices(tx, "first", {"LAN-RX": 900, "CAN": 350}, priority=5)

    found = await find(shop, currency="GBP", sort=Sort.PRICE)
    narrowed = await slugs(
        shop, currency="GBP", price_from_minor=400, price_to_minor=500, sort=Sort.PRICE
    )

    assert [(hit.slug, hit.price_minor) for hit in found.hits] == [
        ("candle", 350),
        ("cafe", 450),
        ("red-lantern", 500),
        ("white-lantern", 800),
    ]
    assert narrowed == ["cafe", "red-lantern"]


async def test_a_list_that_was_over_counts_again_once_it_is_not(
    shop: Finds, database: Database
) -> None:
    async with transaction(database) as tx:
        await put_prices(tx, "over", {"CAN": 100}, window=(None, "2020-01-01"))
    wanted = {"currency": "GBP", "price_to_minor": 200}
    before = await slugs(shop, **wanted)

    await do(database, "UPDATE price_lists SET valid_to = NULL")

    assert (before, await slugs(shop, **wanted)) == ([], ["candle"])


@pytest.mark.parametrize("sort", sorted(Sort))
@pytest.mark.parametrize("typed", ["lantern", None])
async def test_pages_follow_each_other_without_gap_or_repetition(
    shop: Finds, typed: str | None, sort: Sort
) -> None:
    wanted = Wanted(text=typed, currency="GBP", sort=sort)
    whole = await shop.search(wanted, after=None, limit=20, facets=False)

    seen, after = list[str](), None
    while True:
        page = await shop.search(wanted, after=after, limit=1, facets=False)
        seen += [hit.slug for hit in page.hits]
        after = page.next
        if after is None:
            break

    assert seen == [hit.slug for hit in whole.hits]
    assert len(seen) == whole.total == (3 if typed else 4)


@pytest.mark.parametrize(
    ("change", "gone", "come"),
    [
        ("deleted_at = now() WHERE slug = 'candle'", {"candle"}, set()),
        ("status = 'archived' WHERE slug = 'candle'", {"candle"}, set()),
        ("published_at = NULL WHERE slug = 'candle'", {"candle"}, set()),
        ("status = 'active' WHERE slug = 'draft'", set(), {"draft"}),
        ("published_at = now() WHERE slug = 'future'", set(), {"future"}),
        ("slug = 'taper' WHERE slug = 'candle'", {"candle"}, {"taper"}),
    ],
)
async def test_what_is_public_is_found_and_nothing_else(
    shop: Finds, database: Database, change: str, gone: set[str], come: set[str]
) -> None:
    before = set(await slugs(shop))

    await do(database, f"UPDATE catalogue_products SET {change}")  # noqa: S608

    assert set(await slugs(shop)) == (before - gone) | come


async def test_a_new_name_is_found_and_the_old_one_is_not(shop: Finds, database: Database) -> None:
    await do(database, "UPDATE catalogue_products SET name = 'Lamp' WHERE slug = 'red-lantern'")

    assert await slugs(shop, "lamp") == ["red-lantern"]
    assert "red-lantern" not in await slugs(shop, "lantern")


async def test_what_is_published_in_the_future_appears_by_itself(
    shop: Finds, database: Database
) -> None:
    await do(
        database, "UPDATE search_documents SET published_at = now() WHERE name LIKE '%tomorrow'"
    )

    assert "future" in await slugs(shop, "lantern of tomorrow")


async def test_stock_that_turns_is_seen_at_once_and_written_down_by_the_clock(
    shop: Finds, database: Database
) -> None:
    await do(database, "UPDATE stock SET reserved = on_hand WHERE sku = 'CAN'")
    await do(database, "UPDATE stock SET on_hand = 3 WHERE sku = 'LAN-W'")
    await do(database, "UPDATE stock SET backordered = on_hand WHERE sku = 'CAF'")
    before = sorted(await slugs(shop, available=True))
    async with transaction(database) as tx:
        turned = await find_upkeep.settle(tx)
    after = sorted(await slugs(shop, available=True))
    async with transaction(database) as tx:
        again = await find_upkeep.settle(tx)

    # What is opened turns, too.
    assert turned >= 2
    assert again == 0
    assert before == after == ["red-lantern", "white-lantern"]


async def test_moving_a_category_moves_what_is_below_it_and_writes_no_document(
    shop: Finds, database: Database
) -> None:
    async with transaction(database) as tx:
        before = await tx.execute(text("SELECT sum(xmin::text::bigint) FROM search_documents"))
        sums = before.scalar_one()

    await do(database, "UPDATE categories SET parent_id = NULL, name = 'L' WHERE slug = 'lanterns'")

    async with transaction(database) as tx:
        after = await tx.execute(text("SELECT sum(xmin::text::bigint) FROM search_documents"))
        assert after.scalar_one() == sums
    assert await slugs(shop, category="light") == ["candle"]


async def test_two_who_change_one_product_at_once_leave_one_document_of_both(
    shop: Finds, database: Database
) -> None:
    async def is_waiting() -> bool:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        async with transaction(database) as tx:
            return bool(
                (await tx.execute(text(f"{query} AND datname = current_database()"))).scalar()
            )

    reprice = "UPDATE variants SET price_minor = 111 WHERE sku = 'CAN'"
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE catalogue_products SET name = 'Lamp' WHERE slug = 'candle'"))
        await tx.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        other = asyncio.create_task(do(database, reprice))
        await eventually(is_waiting)
    await other

    cheap = await find(shop, "lamp", currency="GBP", price_to_minor=200)
    assert [(hit.slug, hit.price_minor) for hit in cheap.hits] == [("candle", 111)]


async def test_words_that_nothing_has_any_more_are_forgotten(
    shop: Finds, database: Database
) -> None:
    await do(database, "UPDATE catalogue_products SET name = 'Lamp' WHERE slug = 'white-lantern'")

    async with transaction(database) as tx:
        await find_upkeep.tidy(tx)

    async with transaction(database) as tx:
        known = set((await tx.execute(text("SELECT word FROM search_words"))).scalars())
    assert {"lamp", "lantern"} <= known
    assert "hanging" not in known
    assert (await find(shop, "hnaging")).total == 0


async def test_a_forged_place_only_begins_elsewhere(shop: Finds) -> None:
    first = await shop.search(Wanted(), after=None, limit=1, facets=False)
    assert first.next is not None

    beyond = await shop.search(Wanted(), after=Place(-1, first.next.id), limit=9, facets=False)

    assert beyond.hits == []
