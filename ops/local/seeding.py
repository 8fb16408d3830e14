"""What is sold in a file, put into the platform: its assortment, its articles, their stock."""

from collections.abc import Sequence

import msgspec

from domain.price_list import PriceListContent
from domain.product import ProductContent, ProductStatus
from ops.local.assortment import Assortment, Category, PriceList, Product
from ops.local.client import Client, Refused
from ops.local.crowd import each
from ops.local.invoices import Article
from ops.local.progress import Progress
from ops.local.traffic import AT_ONCE, CURRENCY

# Less than a patch may have, which is checked where it is taken.
_ENTRIES_AT_ONCE = 5_000


def size(assortment: Assortment, articles: Sequence[Article]) -> int:
    """Count what is to be put."""
    made = assortment.categories, assortment.products, assortment.price_lists
    return sum(map(len, made)) + len(articles)


async def seed(
    client: Client, assortment: Assortment, articles: Sequence[Article], progress: Progress
) -> None:
    """Put the assortment of a file, and as much stock of each article as the file sells."""
    product_of = {sku: product for product in assortment.products for sku in product.variants}

    async def put_product(product: Product) -> None:
        content = ProductContent(
            name=product.name, category=product.category, status=ProductStatus.ACTIVE
        )
        await client.put(f"/v1/products/{product.slug}", content)
        progress.advance()

    async def put_article(article: Article) -> None:
        await _put_article(client, article, product_of.get(article.sku))
        progress.advance()

    # Parents first, one after the other: the tree is locked for each anyway.
    for category in assortment.categories:
        await _put_category(client, category)
        progress.advance()
    await each(assortment.products, put_product, at_once=AT_ONCE)
    await each(articles, put_article, at_once=AT_ONCE)
    for price_list in assortment.price_lists:
        await _put_list(client, price_list)
        progress.advance()


async def _put_category(client: Client, category: Category) -> None:
    content = {"name": category.name, "parent": category.parent}
    await client.put(f"/v1/categories/{category.slug}", content)


async def _put_article(client: Client, article: Article, product: Product | None) -> None:
    content: dict[str, object] = {
        "name": article.name,
        "price_minor": article.price_minor,
        "currency": CURRENCY,
    }
    if product is not None:
        told = product.variants[article.sku]
        content |= {"product": product.slug, "options": {"code": told} if told else {}}
    await client.put(f"/v1/variants/{article.sku}", content)
    await _stock(client, article.sku, article.sold)


async def _put_list(client: Client, price_list: PriceList) -> None:
    path = f"/v1/price-lists/{price_list.name}"
    window = PriceListContent(
        currency=CURRENCY, valid_from=price_list.since, valid_to=price_list.until
    )
    await client.put(path, msgspec.to_builtins(window))
    entries = [{"sku": sku, "price_minor": minor} for sku, minor in price_list.prices.items()]
    for start in range(0, len(entries), _ENTRIES_AT_ONCE):
        await client.patch(f"{path}/entries", {"put": entries[start : start + _ENTRIES_AT_ONCE]})


async def _stock(client: Client, sku: str, needed: int) -> None:
    """Set stock so that as much as needed is for sale, whatever earlier orders hold of it."""
    try:
        level = await client.put_stock(sku, needed)
    except Refused as refused:
        if refused.code != "stock_below_reserved":
            raise
        level = await client.stock(sku)
    if level.reserved:
        await client.put_stock(sku, needed + level.reserved)
