"""Categories: a tree in which each row knows its parent, so that a move is of one row."""

from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import invalidations
from db.engine import fetch, run
from db.ids import new_id
from domain.catalogue import DEPTH_MAX, CategoryInUse, CategoryMisplaced
from domain.refusal import NotFound

# Shops have hundreds; the whole tree is read at once.
CATEGORIES_MAX = 5_000


class Category(msgspec.Struct, frozen=True):
    """A node of the tree; `parent` is a slug, and siblings are in order of rank, then of slug."""

    slug: str
    name: str
    parent: str | None
    rank: int
    version: int


async def page(tx: AsyncConnection) -> list[Category]:
    """Read the whole tree, parents before children, siblings in their order."""
    return await fetch(
        tx,
        Category,
        """
        WITH RECURSIVE tree AS (
            SELECT id, slug, name, NULL AS parent, rank, version, ARRAY[(rank, slug)] AS place
            FROM categories WHERE parent_id IS NULL AND deleted_at IS NULL
            UNION ALL
            SELECT c.id, c.slug, c.name, tree.slug, c.rank, c.version, place || (c.rank, c.slug)
            FROM categories c JOIN tree ON c.parent_id = tree.id WHERE c.deleted_at IS NULL
        )
        SELECT slug, name, parent, rank, version FROM tree ORDER BY place LIMIT %(limit)s
        """,
        {"limit": CATEGORIES_MAX},
    )


async def find(tx: AsyncConnection, slug: str) -> Category | None:
    """Read a category."""
    found = await fetch(
        tx,
        Category,
        """
        SELECT c.slug, c.name, p.slug, c.rank, c.version
        FROM categories c LEFT JOIN categories p ON p.id = c.parent_id
        WHERE c.slug = %(slug)s AND c.deleted_at IS NULL
        """,
        {"slug": slug},
    )
    return found[0] if found else None


async def lock(tx: AsyncConnection) -> None:
    """Keep others from changing any category until the transaction ends.

    Two moves at once, each right by itself, can make a ring.
    """
    await run(tx, "SELECT pg_advisory_xact_lock(hashtextextended('categories', 0))", {})


async def put(tx: AsyncConnection, wanted: Category) -> Category:
    """Make, rename or move a category, with all below it: theirs are not written.

    Its version is counted here, on from that of a deleted one. No other transaction changes the
    shape of the tree until this one ends. Raises CategoryMisplaced.
    """
    await lock(tx)
    parent_id = await _parent(tx, wanted)
    await run(
        tx,
        """
        INSERT INTO categories AS c (id, slug, name, parent_id, rank)
        VALUES (%(id)s, %(slug)s, %(name)s, %(parent_id)s, %(rank)s)
        ON CONFLICT (slug) DO UPDATE
        SET name = excluded.name, parent_id = excluded.parent_id, rank = excluded.rank,
            deleted_at = NULL, version = c.version + 1, updated_at = now()
        """,
        {
            "id": new_id(),
            "slug": wanted.slug,
            "name": wanted.name,
            "parent_id": parent_id,
            "rank": wanted.rank,
        },
    )
    await invalidations.touch(tx, [f"category:{wanted.slug}"])
    return await _get(tx, wanted.slug)


async def delete(tx: AsyncConnection, slug: str) -> Category | None:
    """Take a category out of the tree; returns what it was, None if it is not there.

    Raises CategoryInUse while something is in it. Its row stays, so that a product that was
    deleted with it can come back to it.
    """
    await lock(tx)
    was = await find(tx, slug)
    if was is None:
        return None
    # Whoever is just putting a product into it is waited for, so that the next statement sees it.
    locked = "SELECT FROM categories WHERE slug = %(slug)s FOR NO KEY UPDATE"
    await run(tx, locked, {"slug": slug})
    gone = await run(
        tx,
        """
        UPDATE categories c SET deleted_at = now(), version = version + 1, updated_at = now()
        WHERE slug = %(slug)s
          AND NOT EXISTS (SELECT FROM categories o
                          WHERE o.parent_id = c.id AND o.deleted_at IS NULL)
          AND NOT EXISTS (SELECT FROM catalogue_products p
                          WHERE p.category_id = c.id AND p.deleted_at IS NULL)
        """,
        {"slug": slug},
    )
    if not gone:
        raise CategoryInUse(f"Something is still in {slug}: move or delete that first.")
    await invalidations.touch(tx, [f"category:{slug}"])
    return was


async def below(tx: AsyncConnection, slug: str) -> list[UUID]:
    """Read the ids of a category and of all below it; none if it is not there."""
    return await fetch(
        tx,
        UUID,
        """
        WITH RECURSIVE tree AS (
            SELECT id FROM categories WHERE slug = %(slug)s AND deleted_at IS NULL
            UNION
            SELECT c.id FROM categories c JOIN tree ON c.parent_id = tree.id
            WHERE c.deleted_at IS NULL
        )
        SELECT id::text FROM tree
        """,
        {"slug": slug},
    )


async def _get(tx: AsyncConnection, slug: str) -> Category:
    found = await find(tx, slug)
    if found is None:
        raise NotFound(f"There is no category {slug}.")
    return found


class _Above(msgspec.Struct):
    id: UUID
    slug: str


async def _parent(tx: AsyncConnection, wanted: Category) -> UUID | None:
    if wanted.parent is None:
        return None
    above = await fetch(
        tx,
        _Above,
        """
        WITH RECURSIVE above AS (
            SELECT id, slug, parent_id, 1 AS n FROM categories
            WHERE slug = %(slug)s AND deleted_at IS NULL
            UNION ALL
            SELECT c.id, c.slug, c.parent_id, n + 1
            FROM categories c JOIN above ON c.id = above.parent_id
        )
        SELECT id, slug FROM above ORDER BY n
        """,
        {"slug": wanted.parent},
    )
    if not above:
        raise CategoryMisplaced(f"There is no category {wanted.parent}.", field="parent")
    if wanted.slug in {each.slug for each in above}:
        raise CategoryMisplaced("A category cannot be below itself.", field="parent")
    if len(above) + await _height(tx, wanted.slug) > DEPTH_MAX:
        raise CategoryMisplaced(
            f"Categories are {DEPTH_MAX} deep at most: choose a parent further up.", field="parent"
        )
    return above[0].id


async def _height(tx: AsyncConnection, slug: str) -> int:
    """Count the levels of a category with all below it; a new one is a level, too."""
    [height] = await fetch(
        tx,
        int,
        """
        WITH RECURSIVE tree AS (
            SELECT id, 1 AS level FROM categories WHERE slug = %(slug)s
            UNION ALL
            SELECT c.id, level + 1 FROM categories c JOIN tree ON c.parent_id = tree.id
            WHERE c.deleted_at IS NULL
        )
        SELECT coalesce(max(level), 1) FROM tree
        """,
        {"slug": slug},
    )
    return height
