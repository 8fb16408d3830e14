"""Products: put, deleted and listed by staff; everybody reads those that are public."""

from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run
from db.ids import new_id
from domain.product import (
    VARIANTS_MAX,
    Product,
    ProductContent,
    ProductStatus,
    UnknownCategory,
    UnknownProduct,
)
from domain.refusal import NotFound

# Of a product `p`: whether everybody may see and buy it.
IS_PUBLIC: LiteralString = (
    "p.deleted_at IS NULL AND p.status = 'active' AND p.published_at <= now()"
)

_SHOWN: LiteralString = """
    SELECT p.id, p.slug, p.name, p.description, c.slug, p.attributes, p.images, p.keywords,
           p.status, p.published_at, p.version, p.created_at, p.updated_at
    FROM catalogue_products p LEFT JOIN categories c ON c.id = p.category_id
"""


class Filter(msgspec.Struct, frozen=True):
    """What a list of products is narrowed by; `categories` are ids, of which one must be it."""

    public: bool
    status: ProductStatus | None = None
    categories: Sequence[UUID] | None = None


async def lock(tx: AsyncConnection, slug: str) -> int:
    """Keep others from changing or deleting one product until the transaction ends.

    An import alone may still create it. Returns the version of its row, deleted or not, 0 if there
    is none.
    """
    await run(
        tx,
        "SELECT pg_advisory_xact_lock(hashtextextended('product ' || %(slug)s::text, 0))",
        {"slug": slug},
    )
    found = await fetch(
        tx,
        int,
        "SELECT version FROM catalogue_products WHERE slug = %(slug)s FOR NO KEY UPDATE",
        {"slug": slug},
    )
    return found[0] if found else 0


async def lock_living(tx: AsyncConnection, slug: str, *, sku: str) -> UUID:
    """Keep a product from getting variants elsewhere, and that of which `sku` is one by now.

    By their ids, as search locks both at the end of the transaction. Returns the id of the first.
    Raises UnknownProduct.
    """
    locked = await fetch(
        tx,
        _Locked,
        """
        SELECT id, slug = %(slug)s AND deleted_at IS NULL FROM catalogue_products
        WHERE slug = %(slug)s OR id = (SELECT product_id FROM variants WHERE sku = %(sku)s)
        ORDER BY id FOR NO KEY UPDATE
        """,
        {"slug": slug, "sku": sku},
    )
    found = [product.id for product in locked if product.is_it]
    if not found:
        raise UnknownProduct(f"There is no product {slug}.", field="product")
    return found[0]


class _Locked(msgspec.Struct):
    id: UUID
    is_it: bool


async def find(tx: AsyncConnection, slug: str, *, public: bool = False) -> Product | None:
    """Read a product, one that is not public only if it need not be."""
    found = await fetch(
        tx,
        _product,
        f"""{_SHOWN} WHERE p.slug = %(slug)s AND p.deleted_at IS NULL
        AND (NOT %(public)s OR {IS_PUBLIC})""",
        {"slug": slug, "public": public},
    )
    return found[0][1] if found else None


async def page(
    tx: AsyncConnection, wanted: Filter, *, before: UUID | None, limit: int
) -> list[tuple[UUID, Product]]:
    """List products with their ids, newest first, from just before `before` on."""
    query = f"{_SHOWN} WHERE p.deleted_at IS NULL"
    # Only what is asked for stands in the statement, or its plan would have to do for all of it.
    if wanted.public:
        query += f" AND {IS_PUBLIC}"
    if wanted.status is not None:
        query += " AND p.status = %(status)s"
    if wanted.categories is not None:
        query += " AND p.category_id = ANY (%(categories)b::uuid[])"
    if before is not None:
        query += " AND p.id < %(before)s"
    query += " ORDER BY p.id DESC LIMIT %(limit)s"
    given = {
        "status": wanted.status,
        "categories": list(wanted.categories or ()),
        "before": before,
        "limit": limit,
    }
    return await fetch(tx, _product, query, given)


async def put(tx: AsyncConnection, slug: str, content: ProductContent) -> Product:
    """Create or replace a product, or bring a deleted one back; its version is counted on.

    Raises UnknownCategory. The category cannot be deleted until the transaction ends.
    """
    await run(
        tx,
        f"""
        INSERT INTO catalogue_products AS p (id, slug, name, description, category_id, attributes,
                                             images, keywords, status, published_at)
        VALUES (%(id)s, %(slug)s, %(name)s, %(description)s, %(category_id)s,
                %(attributes)s::jsonb, %(images)s::jsonb, %(keywords)s, %(status)s::text,
                coalesce(%(published_at)s::timestamptz,
                         CASE %(status)s::text WHEN 'active' THEN now() END))
        ON CONFLICT (slug) DO UPDATE
        SET name = excluded.name, description = excluded.description,
            category_id = excluded.category_id, attributes = excluded.attributes,
            images = excluded.images, keywords = excluded.keywords, status = excluded.status,
            published_at = CASE
                WHEN %(published_at)s::timestamptz IS NULL AND excluded.status = p.status
                     AND {IS_PUBLIC} THEN p.published_at
                ELSE excluded.published_at END,
            deleted_at = NULL, version = p.version + 1, updated_at = now()
        """,  # noqa: S608 - texts of ours alone
        {"id": new_id(), "slug": slug, **await _columns(tx, content)},
    )
    stored = await find(tx, slug)
    if stored is None:
        raise NotFound(f"There is no product {slug}.")
    return stored


async def delete(tx: AsyncConnection, slug: str) -> None:
    """Take a product, and with it its variants, off sale and out of sight; its row stays."""
    await run(
        tx,
        """
        UPDATE catalogue_products SET deleted_at = now(), version = version + 1, updated_at = now()
        WHERE slug = %(slug)s AND deleted_at IS NULL
        """,
        {"slug": slug},
    )


async def skus(tx: AsyncConnection, slug: str) -> list[str]:
    """Read the SKUs of a product, deleted or not."""
    return await fetch(
        tx,
        str,
        """
        SELECT v.sku FROM catalogue_products p JOIN variants v ON v.product_id = p.id
        WHERE p.slug = %(slug)s ORDER BY v.sku LIMIT %(limit)s
        """,
        {"slug": slug, "limit": VARIANTS_MAX},
    )


async def _columns(tx: AsyncConnection, content: ProductContent) -> dict[str, object]:
    return {
        "name": content.name,
        "description": content.description,
        "category_id": await _category(tx, content.category),
        "attributes": msgspec.json.encode(content.attributes).decode(),
        "images": msgspec.json.encode(content.images).decode(),
        "keywords": content.keywords,
        "status": content.status.value,
        "published_at": content.published_at,
    }


async def _category(tx: AsyncConnection, slug: str | None) -> UUID | None:
    if slug is None:
        return None
    found = await fetch(
        tx,
        UUID,
        """
        SELECT id::text FROM categories WHERE slug = %(slug)s AND deleted_at IS NULL FOR SHARE
        """,
        {"slug": slug},
    )
    if not found:
        raise UnknownCategory(f"There is no category {slug}.", field="category")
    return found[0]


def _product(product_id: UUID, *columns: object) -> tuple[UUID, Product]:
    fields = dict(zip(Product.__struct_fields__, columns, strict=True))
    return product_id, msgspec.convert(fields, Product)
