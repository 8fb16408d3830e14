"""What breaks R1: ratings that are not what the published reviews come to."""

from collections.abc import Mapping
from typing import LiteralString

QUERIES: Mapping[str, LiteralString] = {
    "R1 a rating is what the published reviews come to": """
    SELECT p.slug, format('%%s reviews with %%s stars, published are %%s with %%s',
                          coalesce(a.reviews, 0), coalesce(a.stars, 0),
                          coalesce(r.reviews, 0), coalesce(r.stars, 0))
    FROM product_ratings a FULL JOIN (
        SELECT product_id, count(*) AS reviews, sum(stars) AS stars FROM reviews
        WHERE state = 'published' GROUP BY product_id
    ) AS r USING (product_id)
    JOIN catalogue_products p ON p.id = product_id
    WHERE (coalesce(a.reviews, 0), coalesce(a.stars, 0))
        <> (coalesce(r.reviews, 0), coalesce(r.stars, 0))
    LIMIT %(limit)s
    """,
}
