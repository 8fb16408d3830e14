"""The tree of categories as a search needs it: whole, to narrow by and to add up in."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.categories import CATEGORIES_MAX
from db.engine import fetch
from domain.refusal import NotFound
from domain.search import CategoryCount


class Node(msgspec.Struct, frozen=True):
    """A category; `parent` is an id."""

    id: UUID
    parent: UUID | None
    slug: str
    name: str


class Tree(msgspec.Struct, frozen=True):
    """All categories, by id, and those below each, siblings in their order; None has the top."""

    nodes: Mapping[UUID, Node]
    children: Mapping[UUID | None, Sequence[Node]]

    @staticmethod
    async def read(tx: AsyncConnection) -> "Tree":
        """Read the whole tree, which a search is narrowed by: no product knows what is above."""
        found = await fetch(
            tx,
            Node,
            """
            SELECT id, parent_id, slug, name FROM categories WHERE deleted_at IS NULL
            ORDER BY rank, slug LIMIT %(limit)s
            """,
            {"limit": CATEGORIES_MAX},
        )
        children: dict[UUID | None, list[Node]] = {}
        for node in found:
            children.setdefault(node.parent, []).append(node)
        return Tree({node.id: node for node in found}, children)

    def below(self, slug: str) -> list[UUID]:
        """Give the ids of a category and of all below it; raises NotFound."""
        found = [node.id for node in self.nodes.values() if node.slug == slug]
        if not found:
            raise NotFound(f"There is no category {slug}.", field="category")
        for each in found:  # it grows while it is read
            found += [node.id for node in self.children.get(each, ())]
        return found

    def counts(self, direct: Mapping[UUID, int]) -> list[CategoryCount]:
        """Add up what is in each category and below it; those with nothing are left out."""
        totals: dict[UUID, int] = {}
        for category, count in direct.items():
            above = self.nodes.get(category)
            while above is not None:
                totals[above.id] = totals.get(above.id, 0) + count
                above = self.nodes.get(above.parent) if above.parent else None
        found = [self._count(self.nodes[category], n) for category, n in totals.items()]
        return sorted(found, key=lambda one: (-one.count, one.slug))

    def _count(self, node: Node, count: int) -> CategoryCount:
        parent = self.nodes.get(node.parent) if node.parent else None
        return CategoryCount(node.slug, node.name, parent and parent.slug, count)
