"""What a variant costs now: the best list that is valid, else its own price."""

from collections.abc import Mapping

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import offers, orders, placements
from db.engine import Database, transaction
from db.ids import new_id
from domain.variant import Offer
from tests.builders import a_placement, place, put_product

# A list as SQL sees it: priority, currency and window.
LISTS: Mapping[str, str] = {
    "standing": "0, 'GBP', NULL, NULL",
    "sale": "5, 'GBP', now() - interval '1 hour', now() + interval '1 hour'",
    "a-twin-of-sale": "5, 'GBP', now(), NULL",
    "begins-now": "6, 'GBP', now(), NULL",
    "ends-now": "9, 'GBP', NULL, now()",
    "next-week": "9, 'GBP', now() + interval '7 days', NULL",
    "abroad": "9, 'EUR', NULL, NULL",
}


async def put_list(tx: AsyncConnection, name: str, sku: str, price_minor: int) -> None:
    made = (
        "INSERT INTO price_lists (id, name, priority, currency, valid_from, valid_to)"  # noqa: S608 - a table of this test
        f" VALUES (:id, :name, {LISTS[name]})"
    )
    entry = "INSERT INTO price_list_entries VALUES (:sku, :id, :price_minor)"
    given = {"id": new_id(), "name": name, "sku": sku, "price_minor": price_minor}
    await tx.execute(text(made), given)
    await tx.execute(text(entry), given)


async def offer(tx: AsyncConnection, sku: str, currency: str = "GBP") -> Offer:
    return (await offers.find_many(tx, [(sku, currency)]))[sku, currency]


@pytest.mark.parametrize(
    ("lists", "best"),
    [
        ([], 500),
        (["standing"], 1),
        (["standing", "sale"], 2),
        (["sale", "a-twin-of-sale"], 2),
        (["sale", "begins-now"], 2),
        (["standing", "ends-now", "next-week", "abroad"], 1),
        (["abroad"], 500),
    ],
)
async def test_best_valid_list_of_the_currency_counts(
    tx: AsyncConnection, lists: list[str], best: int
) -> None:
    await put_product(tx, "APPLE")
    for n, name in enumerate(lists, 1):
        await put_list(tx, name, "APPLE", n)

    assert (await offer(tx, "APPLE")).price_minor == best


async def test_deleted_list_and_lists_of_other_variants_do_not_count(tx: AsyncConnection) -> None:
    for sku in ("APPLE", "PEAR"):
        await put_product(tx, sku)
    await put_list(tx, "standing", "PEAR", 1)
    await put_list(tx, "sale", "APPLE", 2)
    await tx.execute(text("UPDATE price_lists SET deleted_at = now() WHERE name = 'sale'"))

    assert (await offer(tx, "APPLE")).price_minor == 500
    assert (await offer(tx, "PEAR")).price_minor == 1


async def test_variant_is_sold_in_its_own_currency_and_those_of_lists(tx: AsyncConnection) -> None:
    await put_product(tx, "APPLE")
    await put_product(tx, "PEAR")
    await put_list(tx, "abroad", "APPLE", 7)

    found = await offers.find_many(
        tx, [("APPLE", "GBP"), ("APPLE", "EUR"), ("PEAR", "EUR"), ("NOPE", "EUR")]
    )

    assert {key: (o.price_minor, o.sold_in) for key, o in found.items()} == {
        ("APPLE", "GBP"): (500, "GBP"),
        ("APPLE", "EUR"): (7, "GBP"),
        ("PEAR", "EUR"): (None, "GBP"),
    }


@pytest.mark.parametrize(
    ("product", "for_sale"),
    [
        ("'active', now(), NULL", True),
        ("'active', now() + interval '1 minute', NULL", False),
        ("'draft', now(), NULL", False),
        ("'archived', now(), NULL", False),
        ("'active', now(), now()", False),
    ],
)
async def test_variant_is_for_sale_with_its_product_only(
    tx: AsyncConnection, product: str, *, for_sale: bool
) -> None:
    await put_product(tx, "ALONE")
    await put_product(tx, "APPLE")
    made = (
        "INSERT INTO catalogue_products (id, slug, name, status, published_at, deleted_at)"  # noqa: S608 - as above
        f" VALUES (:id, 'fruit', 'Fruit', {product})"
    )
    product_id = {"id": new_id()}
    await tx.execute(text(made), product_id)
    await tx.execute(text("UPDATE variants SET product_id = :id WHERE sku = 'APPLE'"), product_id)

    assert (await offer(tx, "APPLE")).for_sale is for_sale
    assert (await offer(tx, "ALONE")).for_sale


async def test_group_in_two_currencies_is_priced_by_one_statement(database: Database) -> None:
    async with transaction(database) as tx:
        await put_product(tx, "APPLE")
        await put_list(tx, "abroad", "APPLE", 7)

    ids = await place(
        database, a_placement(("APPLE", 2)), a_placement(("APPLE", 2), currency="EUR")
    )

    async with transaction(database) as tx:
        views = [await orders.get(tx, order_id) for order_id in ids]
    assert [(v.currency, v.total_minor) for v in views] == [("GBP", 1000), ("EUR", 14)]


async def test_later_edits_never_change_a_placed_order(database: Database) -> None:
    async with transaction(database) as tx:
        await put_product(tx, "APPLE")
        await put_list(tx, "sale", "APPLE", 400)
        placement = a_placement(("APPLE", 2))
        [answer] = await placements.insert_many(tx, [placement], msgspec.json.encode)
    async with transaction(database) as tx:
        before = await orders.get(tx, placement.order_id)
        for edit in (
            "UPDATE variants SET name = 'Pomme', price_minor = 1, currency = 'EUR'",
            "UPDATE variants SET tax_class = 'zero', active = false",
            "UPDATE price_lists SET deleted_at = now()",
            "UPDATE price_list_entries SET price_minor = 1",
        ):
            await tx.execute(text(edit))

    async with transaction(database) as tx:
        after = await orders.get(tx, placement.order_id)

    [line] = after.lines
    assert after == before
    assert (line.name, line.unit_minor, line.tax_class) == ("Product APPLE", 400, "standard")
    assert isinstance(answer, placements.Answer)
    assert msgspec.json.decode(answer.body, type=orders.OrderView) == after
