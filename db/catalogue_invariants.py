"""What breaks C1: things that are left in a category that is gone, where nobody finds them."""

from collections.abc import Mapping
from typing import LiteralString

QUERIES: Mapping[str, LiteralString] = {
    "C1 a category that is deleted has nothing in it": """
    SELECT c.slug, format('deleted, and %%s is still in it', o.slug)
    FROM categories c JOIN (
        SELECT parent_id AS category_id, slug FROM categories WHERE deleted_at IS NULL
        UNION ALL
        SELECT category_id, slug FROM catalogue_products WHERE deleted_at IS NULL
    ) AS o ON o.category_id = c.id
    WHERE c.deleted_at IS NOT NULL LIMIT %(limit)s
    """,
}
