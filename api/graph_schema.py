"""The schema of /graphql: the catalogue as everybody sees it, and all of it for staff."""

from datetime import date, datetime
from enum import Enum
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Info
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig

from api import pages
from api.graph_limits import FIRST_MAX
from api.graph_loaders import Loaders, find_category
from api.problems import Forbidden, InvalidRequest
from db.find_tree import Node
from db.graph import Item, Said
from db.review_pages import Order
from db.showcase import Availability, ShownVariant
from domain.money import CURRENCIES

Asked = Info[Loaders, None]
First = Annotated[int, strawberry.argument(description=f"how many, {FIRST_MAX} at most")]
Currency = Annotated[
    str | None, strawberry.argument(description="of ISO 4217; the variant's own if none is given")
]
_STAFF_ONLY = "Only staff that writes the catalogue sees this."


@strawberry.enum
class ReviewOrder(Enum):
    NEWEST = "newest"
    HIGHEST = "highest"
    LOWEST = "lowest"


@strawberry.enum(description="Whether a variant can be ordered now; BACKORDER: it is waited for.")
class VariantAvailability(Enum):
    IN_STOCK = "in_stock"
    BACKORDER = "backorder"
    OUT_OF_STOCK = "out_of_stock"


@strawberry.type(description="An image, which lies elsewhere.")
class Image:
    url: str
    alt: str | None


@strawberry.type(description="What the published reviews of a product come to.")
class Rating:
    reviews: int
    average: float | None


@strawberry.type(description="What somebody who bought the product says of it, in plain text.")
class Review:
    id: strawberry.ID
    stars: int
    title: str | None
    text: str | None
    author: str | None
    created_at: datetime

    @staticmethod
    def of(said: Said) -> "Review":
        return Review(
            id=strawberry.ID(str(said.id)),
            stars=said.stars,
            title=said.title,
            text=said.text,
            author=said.author,
            created_at=said.created_at,
        )


@strawberry.type(description="What has a SKU. Amounts are in minor units of the currency.")
class Variant:
    sku: str
    name: str
    options: JSON
    barcode: str | None
    weight_g: int | None
    active: bool
    currency: str
    price_minor: int | None
    compare_at_minor: int | None
    availability: VariantAvailability
    available_from: date | None
    product_slug: strawberry.Private[str]

    @strawberry.field
    async def in_stock(self) -> bool:
        return self.availability is VariantAvailability.IN_STOCK

    @strawberry.field(description="The product that it is a variant of.")
    async def product(self, info: Asked) -> "Product | None":
        return Product.of(await info.context.item(self.product_slug))

    @strawberry.field(description="What it costs the shop; for staff.")
    async def cost_minor(self, info: Asked) -> int | None:
        if info.context.public:
            raise Forbidden(_STAFF_ONLY)
        return await info.context.cost(self.sku)

    @staticmethod
    def of(slug: str, shown: ShownVariant) -> "Variant":
        return Variant(
            sku=shown.sku,
            name=shown.name,
            options=JSON(shown.options),
            barcode=shown.barcode,
            weight_g=shown.weight_g,
            active=shown.active,
            currency=shown.currency,
            price_minor=shown.price_minor,
            compare_at_minor=shown.compare_at_minor,
            availability=VariantAvailability(shown.availability.value),
            available_from=shown.available_from,
            product_slug=slug,
        )


@strawberry.type(description="What the shop shows of a thing.")
class Product:
    slug: str
    name: str
    description: str
    attributes: JSON
    images: list[Image]
    published_at: datetime | None
    known: strawberry.Private[Item]

    @strawberry.field(description="draft, active or archived; for staff.")
    async def status(self, info: Asked) -> str:
        if info.context.public:
            raise Forbidden(_STAFF_ONLY)
        return self.known.status

    @strawberry.field
    async def category(self, info: Asked) -> "Category | None":
        if self.known.category is None:
            return None
        tree = await info.context.tree()
        return Category.of(tree.nodes.get(self.known.category))

    @strawberry.field(description="In their order, at the prices of now.")
    async def variants(self, info: Asked, currency: Currency = None) -> list[Variant]:
        found = await info.context.variants(self.slug, _currency(currency))
        return [Variant.of(self.slug, each) for each in info.context.listed(info, found)]

    @strawberry.field(description="Whether any of its variants is in stock.")
    async def in_stock(self, info: Asked) -> bool:
        found = await info.context.variants(self.slug, None)
        return any(each.availability is Availability.IN_STOCK for each in found)

    @strawberry.field
    async def rating(self, info: Asked) -> Rating:
        weight = await info.context.rating(self.slug)
        return Rating(reviews=weight.reviews, average=weight.average)

    @strawberry.field
    async def reviews(
        self, info: Asked, first: First = 5, order: ReviewOrder = ReviewOrder.NEWEST
    ) -> list[Review]:
        found = await info.context.reviews(self.slug, Order(order.value), _first(first))
        return [Review.of(said) for said in info.context.listed(info, found)]

    @staticmethod
    def of(item: Item | None) -> "Product | None":
        return None if item is None else Product.made(item)

    @staticmethod
    def made(item: Item) -> "Product":
        return Product(
            slug=item.slug,
            name=item.name,
            description=item.description,
            attributes=JSON(item.attributes),
            images=[Image(url=each["url"], alt=each.get("alt")) for each in item.images],
            published_at=item.published_at,
            known=item,
        )


@strawberry.type(description="A part of the list, newest first; `next` is the cursor of the next.")
class ProductPage:
    items: list[Product]
    next: str | None


@strawberry.type
class Category:
    slug: str
    name: str
    known: strawberry.Private[Node]

    @strawberry.field
    async def parent(self, info: Asked) -> "Category | None":
        tree = await info.context.tree()
        return Category.of(tree.nodes.get(self.known.parent)) if self.known.parent else None

    @strawberry.field
    async def children(self, info: Asked) -> "list[Category]":
        tree = await info.context.tree()
        found = tree.children.get(self.known.id, ())
        return [Category.made(node) for node in info.context.listed(info, found)]

    @strawberry.field(description="The newest in it and in all that is below it.")
    async def products(self, info: Asked, first: First = 20) -> list[Product]:
        found = await info.context.newest(self.known.id, _first(first))
        return [Product.made(item) for item in info.context.listed(info, found)]

    @staticmethod
    def of(node: Node | None) -> "Category | None":
        return None if node is None else Category.made(node)

    @staticmethod
    def made(node: Node) -> "Category":
        return Category(slug=node.slug, name=node.name, known=node)


@strawberry.type
class Query:
    @strawberry.field
    async def product(self, info: Asked, slug: str) -> Product | None:
        return Product.of(await info.context.item(_name("slug", slug)))

    @strawberry.field(description="All products, or those of a category and all below it.")
    async def products(
        self,
        info: Asked,
        first: First = 20,
        after: str | None = None,
        category: str | None = None,
    ) -> ProductPage:
        limit = _first(first)
        below = None if category is None else (await info.context.tree()).below(category)
        before: UUID | None = None if after is None else pages.decode(after)
        found = await info.context.page(below, before=before, limit=limit + 1)
        return ProductPage(
            items=[Product.made(item) for item in info.context.listed(info, found[:limit])],
            next=pages.encode(found[limit - 1].id) if len(found) > limit else None,
        )

    @strawberry.field
    async def variant(self, info: Asked, sku: str, currency: Currency = None) -> Variant | None:
        slug = await info.context.product_of(_name("sku", sku))
        if slug is None:
            return None
        found = await info.context.variants(slug, _currency(currency))
        return next((Variant.of(slug, each) for each in found if each.sku == sku), None)

    @strawberry.field
    async def category(self, info: Asked, slug: str) -> Category | None:
        return Category.of(await find_category(info.context, slug))

    @strawberry.field(description="The categories at the top.")
    async def categories(self, info: Asked) -> list[Category]:
        tree = await info.context.tree()
        found = tree.children.get(None, ())
        return [Category.made(node) for node in info.context.listed(info, found)]


def _name(field: str, name: str) -> str:
    """Refuse the one character that no text in Postgres has."""
    if "\0" in name:
        raise InvalidRequest(f"`{field}` holds the character U+0000: remove it.", field=field)
    return name


def _first(first: int) -> int:
    if not 1 <= first <= FIRST_MAX:
        raise InvalidRequest(f"`first` is from 1 to {FIRST_MAX}.", field="first")
    return first


def _currency(currency: str | None) -> str | None:
    if currency is not None and currency not in CURRENCIES:
        raise InvalidRequest("Send a currency of ISO 4217, e.g. GBP.", field="currency")
    return currency


class _Schema(strawberry.Schema):
    def process_errors(self, errors: object, execution_context: object = None) -> None:
        """Leave what failed to the caller, who knows which of it is worth a log."""


SCHEMA = _Schema(query=Query, config=StrawberryConfig(auto_camel_case=True))
SDL = SCHEMA.as_str()
