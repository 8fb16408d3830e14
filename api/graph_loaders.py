"""What the fields of a query read, gathered: one statement for all that ask for the same."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from strawberry import Info
from strawberry.dataloader import DataLoader

from api.graph_limits import LISTED_MAX, Widths
from db import graph, showcase
from db.find_tree import Node, Tree
from db.graph import Item, Said
from db.invalidations import CATALOGUE
from db.review_pages import Order
from db.showcase import ShownVariant
from domain.review import Weight

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Loaders:
    """All that one query reads, in one transaction; `tags` tell what it was made of.

    `slugs` are of the products whose prices, or whether they are there, are in it.
    """

    def __init__(
        self, tx: AsyncConnection, *, public: bool, widths: Widths = MappingProxyType({})
    ) -> None:
        self.tx = tx
        self.public = public
        self._widths = widths
        self._listed = 0
        self.tags: set[str] = {CATALOGUE}
        self.slugs: set[str] = set()
        self._made: dict[Hashable, DataLoader[Any, Any]] = {}
        self._tree: asyncio.Task[Tree] | None = None
        self._begun: set[asyncio.Future[Any]] = set()
        # One statement at a time: there is one connection.
        self._turn = asyncio.Lock()

    async def settle(self) -> None:
        """Wait for what is still being read for nobody; then the transaction may end."""
        await asyncio.gather(*self._begun, return_exceptions=True)

    def listed(self, info: Info[Any, Any], found: Sequence[Value]) -> Sequence[Value]:
        """Give the elements of a list in the answer; none once it is too long, see there."""
        path = tuple(name for name in info.path.as_list() if isinstance(name, str))
        self._listed += len(found) * self._widths.get(path, 1)
        return () if self.is_too_long else found

    @property
    def is_too_long(self) -> bool:
        """Tell whether the lists of the answer have more values than they may: it is no answer.

        It is still carried out, without them, as errors of thousands of fields take seconds.
        """
        return self._listed > LISTED_MAX

    async def tree(self) -> Tree:
        """Give the tree of categories, read once."""
        if self._tree is None:
            self.tags.add("categories")
            self._tree = asyncio.ensure_future(self._in_turn(Tree.read(self.tx)))
        return await self._shared(self._tree)

    async def item(self, slug: str) -> Item | None:
        """Give a product that the asker may see."""
        if self.is_too_long:
            return None
        return await self._load("item", self._items, slug)

    async def page(
        self, categories: Sequence[UUID] | None, *, before: UUID | None, limit: int
    ) -> list[Item]:
        """Give a page of products."""
        self.tags.add("products")
        read = graph.page(self.tx, categories, public=self.public, before=before, limit=limit)
        return self._seen(await self._shared(self._in_turn(read)))

    async def newest(self, category: UUID, limit: int) -> list[Item]:
        """Give the newest products of a category and what is below it."""
        return await self._load(("newest", limit), partial(self._newest, limit), category)

    async def variants(self, slug: str, currency: str | None) -> list[ShownVariant]:
        """Give the variants of a product, at the prices of now."""
        load = partial(self._variants, currency)
        return await self._load(("variants", currency), load, slug)

    async def product_of(self, sku: str) -> str | None:
        """Give the slug of the product that a variant is of."""
        return await self._load("product of", self._products_of, sku)

    async def rating(self, slug: str) -> Weight:
        """Give the rating of a product."""
        return await self._load("rating", self._ratings, slug)

    async def reviews(self, slug: str, order: Order, limit: int) -> list[Said]:
        """Give the first reviews of a product."""
        load = partial(self._reviews, order, limit)
        return await self._load(("reviews", order, limit), load, slug)

    async def cost(self, sku: str) -> int | None:
        """Give what a variant costs the shop."""
        return await self._load("cost", self._costs, sku)

    async def _load(
        self, name: Hashable, load: Callable[[list[Key]], Awaitable[Sequence[Value]]], key: Key
    ) -> Value:
        loader = self._made.setdefault(name, DataLoader(load_fn=load))
        return await self._shared(loader.load(key))

    async def _shared(self, read: Awaitable[Value]) -> Value:
        """Wait for what others may wait for, too.

        Where a field fails, those beside it are cancelled: that must not reach what they share.
        """
        begun = asyncio.ensure_future(read)
        self._begun.add(begun)
        return await asyncio.shield(begun)

    async def _in_turn(self, read: Awaitable[Value]) -> Value:
        async with self._turn:
            return await read

    def _seen(self, found: list[Item]) -> list[Item]:
        self.slugs |= {item.slug for item in found}
        self.tags |= {f"product:{item.slug}" for item in found}
        return found

    async def _items(self, slugs: list[str]) -> Sequence[Item | None]:
        self.slugs |= set(slugs)
        self.tags |= {f"product:{slug}" for slug in slugs}
        found = self._seen(await self._in_turn(graph.items(self.tx, slugs, public=self.public)))
        by = {item.slug: item for item in found}
        return [by.get(slug) for slug in slugs]

    async def _newest(self, limit: int, categories: list[UUID]) -> Sequence[list[Item]]:
        self.tags.add("products")
        tree = await self.tree()
        below = {each: tree.below(tree.nodes[each].slug) for each in categories}
        found = await self._in_turn(graph.newest(self.tx, below, public=self.public, limit=limit))
        return [self._seen(found[each]) for each in categories]

    async def _variants(
        self, currency: str | None, slugs: list[str]
    ) -> Sequence[list[ShownVariant]]:
        self.slugs |= set(slugs)
        self.tags |= {"prices", "variants"}
        found = await self._in_turn(
            showcase.page(self.tx, slugs, currency=currency, public=self.public)
        )
        self.tags |= {f"stock:{v.sku}" for variants in found.values() for v in variants}
        return [found[slug] for slug in slugs]

    async def _products_of(self, skus: list[str]) -> Sequence[str | None]:
        self.tags |= {f"variant:{sku}" for sku in skus}
        found = await self._in_turn(graph.products_of(self.tx, skus, public=self.public))
        return [found.get(sku) for sku in skus]

    async def _ratings(self, slugs: list[str]) -> Sequence[Weight]:
        self.tags |= {f"rating:{slug}" for slug in slugs}
        found = await self._in_turn(graph.ratings(self.tx, slugs))
        return [found.get(slug, Weight()) for slug in slugs]

    async def _reviews(self, order: Order, limit: int, slugs: list[str]) -> Sequence[list[Said]]:
        self.tags |= {f"rating:{slug}" for slug in slugs}
        found: dict[str, list[Said]] = {slug: [] for slug in slugs}
        for review in await self._in_turn(graph.reviews(self.tx, slugs, order, limit=limit)):
            found[review.product].append(review)
        return [found[slug] for slug in slugs]

    async def _costs(self, skus: list[str]) -> Sequence[int | None]:
        found = await self._in_turn(graph.costs(self.tx, skus))
        return [found.get(sku) for sku in skus]


async def find_category(loaders: Loaders, slug: str) -> Node | None:
    """Find a category by its slug."""
    tree = await loaders.tree()
    return next((node for node in tree.nodes.values() if node.slug == slug), None)
