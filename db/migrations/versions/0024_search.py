r"""Search: a document of every public product, the words they are made of, what is to be redone.

Whatever writes products, variants or prices, psql included, keeps the documents: triggers do it,
once per statement, in the same transaction.
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE IF NOT EXISTS search_documents (
    product_id uuid PRIMARY KEY REFERENCES catalogue_products (id) ON DELETE CASCADE,
    lot smallint NOT NULL,
    category_id uuid,
    published_at timestamptz NOT NULL,
    name text NOT NULL,
    name_words smallint NOT NULL,
    price_minor bigint,
    currency text,
    special jsonb,
    available boolean NOT NULL,
    stars smallint,
    reviews integer NOT NULL DEFAULT 0,
    attributes text[] NOT NULL,
    words tsvector NOT NULL,
    document tsvector NOT NULL
);
-- The words of the name rank, and stay in the row; the rest of what it says may leave it.
ALTER TABLE search_documents
    ALTER COLUMN words SET STORAGE MAIN,
    ALTER COLUMN document SET STORAGE EXTERNAL;
CREATE INDEX IF NOT EXISTS search_documents_text ON search_documents
    USING gin ((words || document));
CREATE INDEX IF NOT EXISTS search_documents_category ON search_documents (category_id);
CREATE INDEX IF NOT EXISTS search_documents_lot ON search_documents (lot);
CREATE INDEX IF NOT EXISTS search_documents_newest
    ON search_documents (published_at DESC, product_id DESC);
CREATE INDEX IF NOT EXISTS search_documents_rating ON search_documents (
    (coalesce(stars, 0)::bigint * 10000000 + least(reviews, 9999999)) DESC, product_id DESC);
CREATE INDEX IF NOT EXISTS search_documents_name ON search_documents (name, product_id);
CREATE TABLE IF NOT EXISTS search_words (
    word text PRIMARY KEY,
    stem text NOT NULL,
    named boolean NOT NULL,
    documents integer NOT NULL DEFAULT 0,
    forms text[] NOT NULL
);
CREATE INDEX IF NOT EXISTS search_words_forms ON search_words USING gin (forms);
CREATE INDEX IF NOT EXISTS search_words_stem ON search_words (stem);
CREATE INDEX IF NOT EXISTS search_words_prefix ON search_words (word text_pattern_ops);
CREATE TABLE IF NOT EXISTS search_pending (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_ids uuid[] NOT NULL
);
CREATE TABLE IF NOT EXISTS search_stale (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku text NOT NULL
);
"""

# Named by code point, so that no locale decides what a letter is. Marks on letters and apostrophes
# go; punctuation, signs and spaces of any script part words, all else is part of one.
TEXT = r"""
CREATE OR REPLACE FUNCTION search_clean(given text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT trim(CASE WHEN octet_length(given) = length(given)
    THEN regexp_replace(replace(lower(given), '''', ''), '[^a-z0-9]+', ' ', 'g')
    ELSE regexp_replace(
        regexp_replace(lower(normalize(given, NFKD)), '[\u0300-\u036f\u2019'']', '', 'g'),
        '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u00d7\u00f7\u1680\u2000-\u206f'
        '\u20a0-\u20cf\u3000-\u303f\ufe00-\ufe0f\ufeff]+', ' ', 'g')
    END)
$$;
CREATE OR REPLACE FUNCTION search_words_of(given text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT array_agg(left(word, 40))
    FROM unnest(string_to_array(search_clean(given), ' ')) AS word WHERE word <> ''
$$;
CREATE OR REPLACE FUNCTION search_stem(word text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (ts_lexize('english_stem', word))[1]
$$;
-- A word is a lexeme, its stem another one, if it differs, behind a sign that no word can hold.
CREATE OR REPLACE FUNCTION search_lexemes(words text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT lexeme), '{}') FROM (
        SELECT word AS lexeme FROM unnest(words) AS word
        UNION ALL SELECT '=' || nullif(search_stem(word), word) FROM unnest(words) AS word
    ) AS all_of_them WHERE lexeme IS NOT NULL
$$;
-- What is left of the first seven letters of a word with up to two of them left out: two words
-- that are one or two slips apart have one of these in common.
CREATE OR REPLACE FUNCTION search_forms(word text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    WITH whole AS (SELECT left(word, 7) AS form),
    one AS (
        SELECT DISTINCT left(form, n - 1) || substr(form, n + 1) AS form
        FROM whole, generate_series(1, length(form)) AS n WHERE length(word) > 2
    ),
    two AS (
        SELECT DISTINCT left(form, n - 1) || substr(form, n + 1) AS form
        FROM one, generate_series(1, length(form)) AS n WHERE length(word) > 4
    )
    SELECT array_agg(form) FROM (SELECT * FROM whole UNION SELECT * FROM one
                                 UNION SELECT * FROM two) AS forms
$$;
CREATE OR REPLACE FUNCTION search_attributes(given jsonb) RETURNS TABLE (attribute text)
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT key || ':' || left(one #>> '{}', 200) FROM jsonb_each(given) AS each (key, value),
        jsonb_array_elements(CASE jsonb_typeof(value) WHEN 'array' THEN value
                             ELSE jsonb_build_array(value) END) AS one
    WHERE jsonb_typeof(one) IN ('string', 'number', 'boolean')
$$;
"""

REFRESH = """
-- The rows of the products are locked first: what others change of them is then either seen by
-- the next statement, or they wait, and see what this one has done.
CREATE OR REPLACE FUNCTION search_refresh(ids uuid[]) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = on SET enable_hashjoin = on AS $$
BEGIN
    IF ids IS NULL OR cardinality(ids) = 0 THEN RETURN; END IF;
    PERFORM FROM catalogue_products WHERE id = ANY (ids) ORDER BY id FOR NO KEY UPDATE;
    DELETE FROM search_documents d WHERE product_id = ANY (ids) AND NOT EXISTS (
        SELECT FROM catalogue_products p WHERE p.id = d.product_id AND p.status = 'active'
          AND p.published_at IS NOT NULL AND p.deleted_at IS NULL);
    WITH shown AS MATERIALIZED (
        SELECT * FROM catalogue_products WHERE id = ANY (ids) AND status = 'active'
          AND published_at IS NOT NULL AND deleted_at IS NULL
    ), sold AS MATERIALIZED (
        SELECT v.product_id, v.sku, v.price_minor, v.currency, v.barcode, v.options, v.name,
               v.rank, coalesce(s.on_hand - s.reserved - s.backordered > 0, false) AS available
        FROM variants v LEFT JOIN stock s USING (sku)
        WHERE v.product_id = ANY (ids) AND v.active
    ), entries AS MATERIALIZED (
        SELECT v.product_id, v.sku, e.list_id, e.price_minor
        FROM sold v JOIN price_list_entries e USING (sku) JOIN price_lists l ON l.id = e.list_id
        WHERE l.deleted_at IS NULL AND (l.valid_to IS NULL OR l.valid_to > now())
    ), listed AS (
        SELECT l.product_id, l.list_id, bool_and(e.sku IS NOT NULL) AS whole,
               min(CASE WHEN e.sku IS NOT NULL THEN e.price_minor
                        WHEN v.currency = p.currency THEN v.price_minor END) AS price_minor
        FROM (SELECT DISTINCT product_id, list_id FROM entries) AS l
        JOIN price_lists p ON p.id = l.list_id
        JOIN sold v ON v.product_id = l.product_id
        LEFT JOIN entries e ON e.sku = v.sku AND e.list_id = l.list_id
        GROUP BY l.product_id, l.list_id
    ), kept AS (
        SELECT product_id, currency, min(price_minor) AS price_minor,
               row_number() OVER (PARTITION BY product_id ORDER BY min(rank), currency) AS place
        FROM sold GROUP BY product_id, currency
    ), special AS (
        SELECT product_id, jsonb_object_agg(key, value) AS prices FROM (
            SELECT product_id, currency AS key, to_jsonb(price_minor) AS value
            FROM kept WHERE place > 1
            UNION ALL SELECT product_id, list_id::text, jsonb_build_array(price_minor, whole)
            FROM listed
        ) AS pairs GROUP BY product_id
    ), sums AS (
        SELECT product_id, bool_or(available) AS available,
               string_agg(concat_ws(' ', name, sku, barcode), ' ') AS codes
        FROM sold GROUP BY product_id
    ), traits AS (
        SELECT id, array_agg(DISTINCT attribute) AS attributes FROM (
            SELECT id, search_attributes(attributes) AS attribute FROM shown
            UNION ALL SELECT product_id, search_attributes(options) FROM sold
        ) AS all_of_them GROUP BY id
    ), spelled AS MATERIALIZED (
        SELECT p.id, coalesce(t.attributes, '{}') AS attributes, search_clean(p.name) AS name,
            search_words_of(concat_ws(' ', p.name, CASE WHEN strpos(p.name, '-') > 0
                THEN replace(p.name, '-', '') END, p.keywords)) AS named,
            search_words_of(concat_ws(' ', s.codes, regexp_replace(array_to_string(t.attributes,
                ' '), '[^ :]*:', '', 'g'), left(p.description, 20000))) AS told
        FROM shown p LEFT JOIN traits t ON t.id = p.id LEFT JOIN sums s ON s.product_id = p.id
    ), lexed AS MATERIALIZED (
        SELECT *, search_lexemes(named) AS words FROM spelled
    ), learnt AS (
        INSERT INTO search_words (word, stem, named, documents, forms)
        SELECT word, coalesce(search_stem(word), word), named, documents, search_forms(word)
        FROM (
            SELECT word, bool_or(name) AS named, count(*)::integer AS documents FROM (
                SELECT unnest(named) AS word, true AS name FROM spelled
                UNION ALL SELECT unnest(told), false FROM spelled
            ) AS each GROUP BY word
        ) AS fresh
        WHERE word !~ '[0-9]' AND length(word) > 1 AND NOT EXISTS (
            SELECT FROM search_words w
            WHERE w.word = fresh.word AND (w.named OR NOT fresh.named))
        ORDER BY word
        ON CONFLICT (word) DO UPDATE SET named = true
        WHERE excluded.named AND NOT search_words.named
    )
    INSERT INTO search_documents AS d (
        product_id, lot, category_id, published_at, name, name_words, price_minor, currency,
        special, available, stars, reviews, attributes, words, document)
    SELECT p.id, abs(mod(hashtext(p.id::text), 1000)), p.category_id,
        p.published_at, left(x.name, 200),
        cardinality(string_to_array(x.name, ' ')), k.price_minor, k.currency, special.prices,
        coalesce(s.available, false),
        round(100.0 * r.stars / nullif(r.reviews, 0)), coalesce(r.reviews, 0), x.attributes,
        array_to_tsvector(x.words),
        array_to_tsvector(ARRAY(SELECT unnest(search_lexemes(x.told))
                                EXCEPT SELECT unnest(x.words)))
    FROM shown p JOIN lexed x USING (id)
    LEFT JOIN sums s ON s.product_id = p.id
    LEFT JOIN product_ratings r ON r.product_id = p.id
    LEFT JOIN kept k ON k.product_id = p.id AND k.place = 1
    LEFT JOIN special ON special.product_id = p.id
    ORDER BY p.id
    ON CONFLICT (product_id) DO UPDATE SET (
        category_id, published_at, name, name_words, price_minor, currency, special, available,
        stars, reviews, attributes, words, document
    ) = (
        excluded.category_id, excluded.published_at, excluded.name, excluded.name_words,
        excluded.price_minor, excluded.currency, excluded.special, excluded.available,
        excluded.stars, excluded.reviews, excluded.attributes, excluded.words, excluded.document
    );
END $$;
-- What a product costs at least where several price lists hold, in their order.
CREATE OR REPLACE FUNCTION search_price(product uuid, special jsonb, lists text[], wanted text)
RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE present text[];
BEGIN
    SELECT array_agg(list ORDER BY n) INTO present
    FROM unnest(lists) WITH ORDINALITY AS l (list, n) WHERE special ? list;
    IF cardinality(present) = 1 OR (special -> present[1] ->> 1)::boolean THEN
        RETURN (special -> present[1] ->> 0)::bigint;
    END IF;
    RETURN (
        SELECT min(coalesce(e.price_minor, CASE v.currency WHEN wanted THEN v.price_minor END))
        FROM variants v LEFT JOIN LATERAL (
            SELECT e.price_minor FROM unnest(present) WITH ORDINALITY AS l (list, n)
            JOIN price_list_entries e ON e.list_id = list::uuid AND e.sku = v.sku
            ORDER BY n LIMIT 1
        ) AS e ON true
        WHERE v.product_id = product AND v.active);
END $$;
-- At the end of a transaction each product is looked at once, however often it was written.
CREATE OR REPLACE FUNCTION search_settle() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE ids uuid[];
BEGIN
    WITH mine AS (DELETE FROM search_pending RETURNING product_ids)
    SELECT array_agg(DISTINCT id) INTO ids FROM mine, unnest(product_ids) AS id;
    PERFORM search_refresh(ids);
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION search_note(ids uuid[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO search_pending (product_ids) SELECT ids WHERE cardinality(ids) > 0
$$;
"""

WRITTEN = """
CREATE OR REPLACE FUNCTION search_product_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM search_note(array_agg(id)) FROM new_rows WHERE status = 'active';
    ELSE
        PERFORM search_note(array_agg(n.id)) FROM new_rows n JOIN old_rows o USING (id)
        WHERE (n.status = 'active' OR o.status = 'active') AND
            (n.name, n.description, n.category_id, n.attributes, n.keywords, n.status,
             n.published_at, n.deleted_at) IS DISTINCT FROM
            (o.name, o.description, o.category_id, o.attributes, o.keywords, o.status,
             o.published_at, o.deleted_at);
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION search_variant_written() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE ids uuid[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(DISTINCT product_id) INTO ids FROM new_rows
        WHERE product_id IS NOT NULL;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(DISTINCT product_id) INTO ids FROM old_rows
        WHERE product_id IS NOT NULL;
    ELSE
        SELECT array_agg(DISTINCT id) INTO ids FROM (
            SELECT unnest(ARRAY[n.product_id, o.product_id]) AS id
            FROM new_rows n JOIN old_rows o USING (sku)
            WHERE (n.product_id, n.name, n.active, n.price_minor, n.currency, n.barcode,
                   n.options, n.rank) IS DISTINCT FROM
                  (o.product_id, o.name, o.active, o.price_minor, o.currency, o.barcode,
                   o.options, o.rank)
        ) AS pairs WHERE id IS NOT NULL;
    END IF;
    PERFORM search_note(ids);
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION search_price_written() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE ids uuid[];
BEGIN
    IF TG_OP = 'DELETE' THEN
        SELECT array_agg(DISTINCT v.product_id) INTO ids
        FROM old_rows JOIN variants v USING (sku) WHERE v.product_id IS NOT NULL;
    ELSE
        SELECT array_agg(DISTINCT v.product_id) INTO ids
        FROM new_rows JOIN variants v USING (sku) WHERE v.product_id IS NOT NULL;
    END IF;
    PERFORM search_note(ids);
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION search_rating_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM search_note(array_agg(DISTINCT product_id)) FROM new_rows;
    RETURN NULL;
END $$;
-- What a list is worth depends on the moment, and is found by whoever asks. Only one that was over
-- is in no document, and one whose currency changes is in them with another price.
CREATE OR REPLACE FUNCTION search_list_revived() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM search_note(array_agg(DISTINCT v.product_id))
    FROM price_list_entries e JOIN variants v USING (sku)
    WHERE e.list_id = NEW.id AND v.product_id IS NOT NULL;
    RETURN NULL;
END $$;
-- Orders move stock thousands of times a minute, and lock no row of a document for it.
CREATE OR REPLACE FUNCTION search_stock_turned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO search_stale (sku) SELECT v.sku FROM variants v
    WHERE v.sku = NEW.sku AND v.product_id IS NOT NULL;
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS search_pending_settled ON search_pending;
CREATE CONSTRAINT TRIGGER search_pending_settled AFTER INSERT ON search_pending
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION search_settle();
"""

# One by one, so that none is held while another one waits for its table.
TRIGGERS = (
    """
    CREATE OR REPLACE TRIGGER catalogue_products_search_inserted AFTER INSERT ON catalogue_products
        REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION search_product_written()
    """,
    """
    CREATE OR REPLACE TRIGGER catalogue_products_search_updated AFTER UPDATE ON catalogue_products
        REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION search_product_written()
    """,
    """
    CREATE OR REPLACE TRIGGER variants_search_inserted AFTER INSERT ON variants
        REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION search_variant_written()
    """,
    """
    CREATE OR REPLACE TRIGGER variants_search_updated AFTER UPDATE ON variants
        REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION search_variant_written()
    """,
    """
    CREATE OR REPLACE TRIGGER variants_search_deleted AFTER DELETE ON variants
        REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION search_variant_written()
    """,
    """
    CREATE OR REPLACE TRIGGER price_list_entries_search_inserted AFTER INSERT ON price_list_entries
        REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION search_price_written()
    """,
    """
    CREATE OR REPLACE TRIGGER price_list_entries_search_updated AFTER UPDATE ON price_list_entries
        REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION search_price_written()
    """,
    """
    CREATE OR REPLACE TRIGGER price_list_entries_search_deleted AFTER DELETE ON price_list_entries
        REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION search_price_written()
    """,
    """
    CREATE OR REPLACE TRIGGER product_ratings_search_inserted AFTER INSERT ON product_ratings
        REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION search_rating_written()
    """,
    """
    CREATE OR REPLACE TRIGGER product_ratings_search_updated AFTER UPDATE ON product_ratings
        REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION search_rating_written()
    """,
    """
    CREATE OR REPLACE TRIGGER price_lists_search_revived AFTER UPDATE ON price_lists
        FOR EACH ROW WHEN (
            NEW.currency <> OLD.currency
            OR ((OLD.deleted_at IS NOT NULL OR OLD.valid_to <= now())
                AND NEW.deleted_at IS NULL AND coalesce(NEW.valid_to > now(), true)))
        EXECUTE FUNCTION search_list_revived()
    """,
    """
    CREATE OR REPLACE TRIGGER stock_search_inserted AFTER INSERT ON stock
        FOR EACH ROW WHEN (NEW.on_hand > NEW.reserved + NEW.backordered)
    EXECUTE FUNCTION search_stock_turned()
    """,
    """
    CREATE OR REPLACE TRIGGER stock_search_turned AFTER UPDATE ON stock
        FOR EACH ROW WHEN (
        (NEW.on_hand > NEW.reserved + NEW.backordered)
        <> (OLD.on_hand > OLD.reserved + OLD.backordered))
        EXECUTE FUNCTION search_stock_turned()
    """,
)

# Products that are there already.
EXISTING = "SELECT search_refresh(array_agg(id)) FROM catalogue_products WHERE status = 'active'"


def upgrade() -> None:
    """Make the tables, what keeps them, and what is to be in them now."""
    for statements in (TABLES, TEXT, REFRESH, WRITTEN):
        op.execute(statements)
    with op.get_context().autocommit_block():
        for trigger in TRIGGERS:
            op.execute(trigger)
        op.execute(EXISTING)
