"""Imports over HTTP: the whole of a file becomes visible at once, or nothing of it."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from sqlalchemy import text

from db import price_entries, tasks
from db.engine import Database, connect, transaction
from db.ids import new_id
from domain.importing import FILE_BYTES_MAX
from domain.price_list import Entry
from domain.task import Kind, NewTask
from ops.config import Settings
from tests.builders import put_products
from tests.records import be_patient, waits_for_a_lock
from tests.stages import drain_housekeeping
from tests.waiting import WITHIN_S, eventually
from tests.web import assert_problem, contents, post_order

IMPORTS = "/v1/imports"
JSONL = "application/jsonl"
READER, OTHER = "orderflow import", "orderflow other import"


@pytest.fixture(autouse=True)
async def _catalogue(client: httpx.AsyncClient) -> None:
    await client.put("/v1/categories/cups", json={"name": "Cups"})
    await client.put("/v1/price-lists/summer", json={"currency": "GBP"})


def a_line(n: int, *, price: int = 100, **product: Any) -> dict[str, Any]:
    """One of three variants of a product, with a price by a list."""
    slug = f"cup-{n // 3}"
    said = {"slug": slug, "name": slug, "category": "cups", "status": "active"} | product
    variant = {"sku": f"CUP-{n}", "name": f"Cup {n}", "price_minor": price, "currency": "GBP"}
    prices = [{"list": "summer", "price_minor": price - 1}]
    return {"product": said, "variant": variant, "prices": prices}


def a_file(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


async def send(
    client: httpx.AsyncClient, file: bytes, *, key: str | None = None, kind: str = JSONL, **how: Any
) -> httpx.Response:
    headers = {"Content-Type": kind, "Idempotency-Key": key or str(new_id())}
    return await client.post(IMPORTS, content=file, headers=headers, params=how)


async def taken_in(
    client: httpx.AsyncClient, database: Database, file: bytes, **how: Any
) -> dict[str, Any]:
    """Send a file, have it worked off, and read what came of it."""
    accepted = await send(client, file, **how)
    assert accepted.status_code == 202, accepted.text
    await drain_housekeeping(database)
    return (await client.get(accepted.headers["location"])).json()


async def faults(client: httpx.AsyncClient, import_id: str) -> list[tuple[int, str | None]]:
    """Read what is wrong with an import, page by page."""
    found: list[tuple[int, str | None]] = []
    path: str | None = f"{IMPORTS}/{import_id}/errors?limit=3"
    while path:
        page = await client.get(path)
        found += [(each["line"], each["field"]) for each in page.json()["errors"]]
        path = page.links.get("next", {}).get("url")
    return found


def counts(done: dict[str, Any]) -> tuple[Any, ...]:
    names = ("state", "rows", "bad", "products", "variants", "prices")
    return tuple(done[name] for name in names)


async def test_file_becomes_the_catalogue_and_the_same_again_changes_nothing(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, database: Database
) -> None:
    # More than a worker reads in one step.
    file = a_file(*(a_line(n, description="So " * 200) for n in range(600)))

    done = await taken_in(client, database, file)
    shown = await stranger.get("/v1/products/cup-0?currency=GBP")
    again = await taken_in(client, database, file)
    some = await taken_in(client, database, a_file(a_line(0), a_line(3, price=200)))

    assert counts(done) == ("done", 600, 0, 200, 600, 600)
    assert done["bytes_read"] == done["bytes"] == len(file)
    assert [each["price_minor"] for each in shown.json()["variants"]] == [99, 99, 99]
    assert counts(again) == ("done", 600, 0, 0, 0, 0)
    assert counts(some) == ("done", 2, 0, 2, 1, 1)
    variant = (await client.get("/v1/variants/CUP-3")).json()
    assert (variant["product"], variant["price_minor"], variant["version"]) == ("cup-1", 200, 2)
    async with transaction(database) as tx:
        left = "SELECT (SELECT count(*) FROM import_rows), (SELECT count(*) FROM import_parts)"
        assert (await tx.execute(text(left))).one() == (0, 0)


@pytest.mark.parametrize(("form", "kind"), [("csv", "text/csv"), ("jsonl", "application/x-ndjson")])
async def test_export_is_a_file_to_import(
    client: httpx.AsyncClient, database: Database, form: str, kind: str
) -> None:
    odd = {"name": 'Cup, "odd"', "description": "a\n\tb,c", "attributes": {"cm": 9.5, "x": ["a"]}}
    lines = [a_line(0, **odd), a_line(1, **odd), {"product": {"slug": "none", "name": "None"}}]
    lines[0]["variant"] |= {"options": {"size": "s"}, "rank": 3, "cost_minor": 0, "active": False}
    # Behind what PostgreSQL reads of offsets, and more lists than anybody looks through.
    lines[2]["product"]["published_at"] = "2026-01-01T00:00:00+23:59"
    lines[1]["prices"] = [{"list": f"list-{n}", "price_minor": 1} for n in range(300)]
    async with transaction(database) as tx:
        made = "SELECT gen_random_uuid(), 'list-' || n, 'GBP' FROM generate_series(0, 299) AS n"
        await tx.execute(text(f"INSERT INTO price_lists (id, name, currency) {made}"))
    alone = {"sku": "ALONE", "name": "Alone", "price_minor": 1, "currency": "EUR"}
    await taken_in(client, database, a_file(*lines, {"variant": alone}))
    exported = await client.get(f"/v1/exports/products?format={form}")

    same = await taken_in(client, database, exported.content, kind=kind)
    async with transaction(database) as tx:
        await tx.execute(text("DELETE FROM price_list_entries"))
        await tx.execute(text("DELETE FROM variants"))
        await tx.execute(text("DELETE FROM catalogue_products"))
    anew = await taken_in(client, database, exported.content, kind=kind)

    assert counts(same) == ("done", 4, 0, 0, 0, 0)
    assert counts(anew) == ("done", 4, 0, 2, 3, 301)
    assert (await client.get(f"/v1/exports/products?format={form}")).content == exported.content


BAD: list[tuple[dict[str, Any] | str, str | None]] = [
    ("{", None),
    (a_line(1, price=1), "prices[0].price_minor"),
    (a_line(2) | {"mo\0re": 1}, "mo\N{REPLACEMENT CHARACTER}re"),
    (a_line(0), "variant.sku"),
    (a_line(1, name="Otherwise"), "product"),
    (a_line(3, category="nowhere"), "product.category"),
    ({**a_line(2), "prices": [{"list": "none", "price_minor": 1}]}, "prices"),
    ({"variant": a_line(9)["variant"] | {"product": "nothing"}}, "variant.product"),
    # Its product is of a line that is bad itself.
    ({"variant": a_line(8)["variant"] | {"product": "cup-1"}}, "variant.product"),
]


def a_bad_file() -> bytes:
    """A good line, and one of each kind of bad ones."""
    bad = [line if isinstance(line, str) else json.dumps(line) for line, _ in BAD]
    return "\n".join([json.dumps(a_line(0)), *bad]).encode()


async def test_file_with_a_bad_line_changes_nothing_and_each_is_told_with_its_field(
    client: httpx.AsyncClient, database: Database
) -> None:
    before = await contents(database)

    done = await taken_in(client, database, a_bad_file())

    assert counts(done) == ("refused", 10, 9, None, None, None)
    assert await faults(client, done["id"]) == [(n + 2, field) for n, (_, field) in enumerate(BAD)]
    after = await contents(database)
    for table in ("catalogue_products", "variants", "price_list_entries", "price_lists"):
        assert after[table] == before[table]


async def test_bad_lines_are_left_out_if_that_is_what_is_asked(
    client: httpx.AsyncClient, database: Database
) -> None:
    done = await taken_in(client, database, a_bad_file(), on_error="skip")

    assert counts(done) == ("done", 10, 9, 1, 1, 1)
    assert (await client.get("/v1/products/cup-1")).status_code == 404


async def test_product_gets_no_more_variants_than_one_may_have(
    client: httpx.AsyncClient, database: Database
) -> None:
    product = {"slug": "big", "name": "Big"}
    lines = [{**a_line(n), "product": product} for n in range(251)]

    full = await taken_in(client, database, a_file(*lines[:250]))
    again = await taken_in(client, database, a_file(lines[249]))
    more = await taken_in(client, database, a_file(lines[250]))

    assert [counts(each)[0] for each in (full, again, more)] == ["done", "done", "refused"]
    assert await faults(client, more["id"]) == [(1, "variant")]


@pytest.mark.parametrize(
    ("file", "state"), [(a_bad_file(), "refused"), (a_file(a_line(0)), "done")]
)
async def test_dry_run_only_says_what_would_be(
    client: httpx.AsyncClient, database: Database, file: bytes, state: str
) -> None:
    before = await contents(database)

    done = await taken_in(client, database, file, dry_run="true")

    assert counts(done)[0] == state
    assert done["variants"] is None
    after = await contents(database)
    for table in ("catalogue_products", "variants", "price_list_entries", "invalidations"):
        assert after[table] == before[table]


@pytest.mark.parametrize(
    ("file", "line", "why"),
    [
        (b"variant.sku,colour\nCUP,red\n", 1, "No such column"),
        (b"x" * 2_400_000 + b"\n" + a_file(a_line(0)), 1, "it is no line"),
        (b'variant.sku\n"CUP\n' + b"CUP\n" * 650_000, 2, "it is no line"),
    ],
)
async def test_file_that_cannot_be_read_on_is_refused_whatever_is_asked(
    client: httpx.AsyncClient, database: Database, file: bytes, line: int, why: str
) -> None:
    kind = "text/csv" if file.startswith(b"v") else JSONL

    done = await taken_in(client, database, file, kind=kind, on_error="skip")
    errors = (await client.get(f"{IMPORTS}/{done['id']}/errors")).json()["errors"]

    assert counts(done)[0] == "refused"
    assert [(each["line"], why in each["detail"]) for each in errors] == [(line, True)]


async def test_audit_log_says_of_which_file_an_import_is(client: httpx.AsyncClient) -> None:
    file = a_file(a_line(0))

    made = (await send(client, file, key="k")).json()["id"]

    audited = await client.get("/v1/audit", params={"target": made})
    [entry] = audited.json()["entries"]
    assert entry["after"]["sha256"] == hashlib.sha256(file).hexdigest()


async def test_same_key_is_the_same_import(client: httpx.AsyncClient, database: Database) -> None:
    file = a_file(a_line(0))

    first, again = [await send(client, file, key="k") for _ in range(2)]
    other = await send(client, file + file, key="k")
    how = await send(client, file, key="k", dry_run="true")

    assert again.headers["idempotent-replayed"] == "true"
    assert (again.content, again.headers["location"]) == (first.content, first.headers["location"])
    for each in (other, how):
        assert_problem(each, 422, "idempotency_key_reused", "Idempotency-Key")
    listed = (await client.get(IMPORTS)).json()["imports"]
    assert [each["id"] for each in listed] == [first.json()["id"]]
    async with transaction(database) as tx:
        assert await tx.scalar(text("SELECT count(*) FROM import_parts")) == 1


async def test_only_files_are_taken_in_and_of_a_size(client: httpx.AsyncClient) -> None:
    told: dict[str, str] = {"Content-Length": str(FILE_BYTES_MAX + 1)}
    given = {"Content-Type": JSONL, "Idempotency-Key": "k"}

    assert_problem(await send(client, b"{}", kind="text/plain"), 415, "unsupported_media_type")
    assert_problem(await send(client, b""), 400, "invalid_request")
    big = await client.post(IMPORTS, content=b"{}", headers=given | told)
    assert_problem(big, 413, "body_too_large")
    zipped = await client.post(IMPORTS, content=b"{}", headers=given | {"Content-Encoding": "gzip"})
    assert_problem(zipped, 415, "unsupported_content_encoding", "Content-Encoding")
    assert (await client.get(IMPORTS)).json() == {"imports": []}


async def test_import_is_stopped_before_it_is_published_and_not_after(
    client: httpx.AsyncClient, database: Database
) -> None:
    first, second = [await send(client, a_file(a_line(0))) for _ in range(2)]
    path = first.headers["location"]

    stopped = [await client.post(f"{path}/cancel") for _ in range(2)]
    await drain_housekeeping(database)
    late = await client.post(f"{second.headers['location']}/cancel")

    assert [each.json()["state"] for each in stopped] == ["cancelled", "cancelled"]
    assert (await client.get(path)).json()["variants"] is None
    assert_problem(late, 409, "import_over")
    assert (await client.get(second.headers["location"])).json()["state"] == "done"


@pytest.fixture
async def reader(settings: Settings) -> Any:
    """A worker's connections, so that it is seen to wait."""
    made = connect(settings, name=READER, ring=lambda _: None)
    yield replace(made, timeout_s=WITHIN_S)
    await made.engine.dispose()


async def test_active_product_without_a_date_is_public_at_once_as_with_put(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, database: Database
) -> None:
    later = {"name": "cup-0", "status": "active", "published_at": "2099-01-01T00:00:00Z"}
    await client.put("/v1/products/cup-0", json=later)

    await taken_in(client, database, a_file(a_line(0)))
    public = await stranger.get("/v1/products/cup-0")
    await taken_in(client, database, a_file(a_line(0, name="Cup")))
    renamed = await client.get("/v1/products/cup-0")

    assert (public.status_code, renamed.json()["name"]) == (200, "Cup")
    assert renamed.json()["published_at"] == public.json()["published_at"]


async def test_until_an_import_is_published_orders_and_readers_see_nothing_of_it_nor_wait(
    client: httpx.AsyncClient, database: Database, reader: Database
) -> None:
    await put_products(database, CUP=5)
    await taken_in(client, database, a_file(*map(a_line, range(6))))
    await client.put("/v1/stock/CUP-0", json={"on_hand": 5})
    cheaper = await send(client, a_file(*(a_line(n, price=50) for n in range(6))))

    async with transaction(database) as tx:
        # The last that it writes is held by somebody else.
        await be_patient(tx)
        await tx.execute(text("SELECT FROM price_list_entries WHERE sku = 'CUP-5' FOR UPDATE"))
        importing = asyncio.create_task(drain_housekeeping(reader))
        await eventually(partial(waits_for_a_lock, database, READER))
        before = await post_order(client, ("CUP-0", 1))
        shown = await client.get("/v1/variants/CUP-0")
        late = await client.post(f"{cheaper.headers['location']}/cancel")
        waited = (await tx.execute(text("SELECT clock_timestamp()"))).scalar_one()
    await importing
    done = (await client.get(cheaper.headers["location"])).json()
    after = await post_order(client, ("CUP-0", 1))

    assert (before.json()["total_minor"], shown.json()["price_minor"]) == (99, 100)
    assert_problem(late, 409, "import_over")
    assert after.json()["total_minor"] == 49
    assert datetime.fromisoformat(done["finished_at"]) > waited


async def test_import_and_change_of_its_price_list_do_not_wait_in_a_circle(
    client: httpx.AsyncClient,
    database: Database,
    reader: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await taken_in(client, database, a_file(a_line(0)))
    sent = await send(client, a_file(a_line(0, price=50)))

    async with transaction(database) as tx:
        await be_patient(tx)
        changed = await price_entries.change(tx, "summer", [Entry("CUP-0", 1, None)], [])
        importing = asyncio.create_task(drain_housekeeping(reader))
        await eventually(partial(waits_for_a_lock, database, READER))
    await importing

    done = (await client.get(sent.headers["location"])).json()
    assert (changed.before, counts(done)[0]) == ([Entry("CUP-0", 99, None)], "done")
    # One of them would have been ended by Postgres, and the import begun again.
    assert "deadlock" not in caplog.text


def turned(files: list[bytes]) -> Iterator[bytes]:
    yield files[0]
    yield b"".join(reversed(files[1].splitlines(keepends=True)))


async def test_of_two_imports_at_once_the_last_is_the_catalogue_as_a_whole(
    client: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    files = [a_file(*(a_line(n, price=price) for n in range(300))) for price in (100, 200)]
    for file in turned(files):
        await send(client, file)
    workers = [connect(settings, name=READER, ring=lambda _: None) for _ in range(2)]

    await asyncio.gather(*(drain_housekeeping(replace(each, timeout_s=60)) for each in workers))

    done = (await client.get(IMPORTS)).json()["imports"]
    assert [counts(each)[0] for each in done] == ["done", "done"]
    async with transaction(database) as tx:
        query = text("SELECT count(*), count(DISTINCT price_minor) FROM variants")
        assert (await tx.execute(query)).one() == (300, 1)
    for each in workers:
        await each.engine.dispose()


async def test_of_two_imports_at_once_the_second_is_held_against_what_the_first_made(
    client: httpx.AsyncClient, database: Database, reader: Database, settings: Settings
) -> None:
    await taken_in(client, database, a_file(a_line(0)))
    # Nothing of it is there yet that one of them could wait for.
    big = {"product": {"slug": "big", "name": "Big"}, "prices": []}
    other = connect(settings, name=OTHER, ring=lambda _: None)
    sent: list[str] = []

    async with transaction(database, timeout_s=WITHIN_S) as tx:
        await be_patient(tx)
        await tx.execute(text("SELECT FROM price_list_entries WHERE sku = 'CUP-0' FOR UPDATE"))
        importing: list[asyncio.Task[None]] = []
        held = [a_line(0, price=10)]
        for worker, name, first, more in ((reader, READER, 10, held), (other, OTHER, 200, [])):
            lines = [*more, *({**a_line(first + n), **big} for n in range(150))]
            sent.append((await send(client, a_file(*lines))).headers["location"])
            patient = replace(worker, timeout_s=WITHIN_S)
            importing.append(asyncio.create_task(drain_housekeeping(patient)))
            await eventually(partial(waits_for_a_lock, database, name))
    await asyncio.gather(*importing)

    done = [(await client.get(each)).json() for each in sent]
    assert [counts(each)[:3] for each in done] == [("done", 151, 0), ("refused", 150, 150)]
    await other.engine.dispose()


async def test_what_is_kept_of_imports_goes_in_time(
    client: httpx.AsyncClient, database: Database
) -> None:
    done = await taken_in(client, database, a_bad_file())
    running = await send(client, a_file(a_line(0)))
    async with transaction(database) as tx:
        for change in (
            "UPDATE imports SET created_at = now() - interval '31 days'",
            "UPDATE tasks SET run_at = now() + interval '1 h' WHERE state = 'ready'",
        ):
            await tx.execute(text(change))
        await tasks.schedule(tx, NewTask(Kind.PRUNE))

    await drain_housekeeping(database)

    left = (await client.get(IMPORTS)).json()["imports"]
    assert [each["id"] for each in left] == [running.json()["id"]] != [done["id"]]
