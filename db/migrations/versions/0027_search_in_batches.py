"""Search writes down many products a batch at a time: all at once cost their square."""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

# The plan of a batch takes its rows for few, and compares each with each: of 200 products one takes
# half a millisecond, of 2,000 two, and an import of 50,000 did not end. In order, as before.
SETTLE = """
CREATE OR REPLACE FUNCTION search_settle() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE ids uuid[];
BEGIN
    WITH mine AS (DELETE FROM search_pending RETURNING product_ids)
    SELECT array_agg(DISTINCT id ORDER BY id) INTO ids FROM mine, unnest(product_ids) AS id;
    FOR i IN 1 .. coalesce(cardinality(ids), 0) BY 200 LOOP
        PERFORM search_refresh(ids[i : i + 199]);
    END LOOP;
    RETURN NULL;
END $$;
"""


def upgrade() -> None:
    """Put the function in its place; whoever runs the one before ends with it."""
    op.execute(SETTLE)
