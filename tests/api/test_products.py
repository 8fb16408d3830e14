"""Products over HTTP: what everybody sees of them, and what staff makes of them."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from db.engine import Database, transaction
from db.ids import new_id
from tests.postgres import until, waiting_for_locks
from tests.waiting import eventually
from tests.web import assert_problem, post_order

Staff = dict[str, str]

BOARD = {"name": "Oak board", "status": "active"}
PATH = "/v1/products/oak-board"
CONTENT: dict[str, Any] = {
    "name": "Oak board",
    "description": "Of one piece.\nTo be oiled.",
    "category": "kitchen",
    "attributes": {"wood": ["oak"], "cm": 30.5, "pieces": 1, "oiled": True, "colour": "brown"},
    "images": [{"url": "https://img.example/board.png", "alt": "A board"}],
    "keywords": "chopping",
    "status": "active",
    "published_at": "2026-01-01T00:00:00Z",
}


async def put(
    client: httpx.AsyncClient, staff: Staff, path: str = PATH, **changes: Any
) -> httpx.Response:
    return await client.put(path, json=BOARD | changes, headers=staff)


async def put_variant(
    client: httpx.AsyncClient, staff: Staff, sku: str, **changes: Any
) -> httpx.Response:
    body = {"name": sku, "price_minor": 500, "currency": "GBP", "product": "oak-board"} | changes
    answer = await client.put(f"/v1/variants/{sku}", json=body, headers=staff)
    assert answer.is_success, answer.text
    return answer


async def test_product_is_read_as_it_was_put(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, staff: Staff
) -> None:
    await client.put("/v1/categories/kitchen", json={"name": "Kitchen"}, headers=staff)

    created = await client.put(PATH, json=CONTENT, headers=staff)
    read = await stranger.get(PATH)

    assert (created.status_code, created.headers["etag"]) == (201, '"1"')
    assert created.json().items() >= CONTENT.items()
    assert read.json() == created.json() | {"variants": []}


async def test_variants_are_shown_in_their_order_at_the_prices_of_now(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, staff: Staff
) -> None:
    await put(client, staff)
    await put_variant(client, staff, "BOARD-L", rank=2, compare_at_minor=700)
    await put_variant(client, staff, "BOARD-S", rank=1, price_minor=300, cost_minor=1)
    await put_variant(client, staff, "BOARD-M", rank=1)
    await put_variant(client, staff, "BOARD-XL", active=False)
    for sku, on_hand in {"BOARD-S": 1, "BOARD-L": 0, "BOARD-M": 0}.items():
        await client.put(f"/v1/stock/{sku}", json={"on_hand": on_hand}, headers=staff)
    later = {"max": 5, "available_from": "2027-01-31"}
    await client.put("/v1/stock/BOARD-M/backorders", json=later, headers=staff)

    shown = (await stranger.get(PATH)).json()["variants"]
    abroad = (await stranger.get(PATH, params={"currency": "EUR"})).json()["variants"]
    all_of_them = (await client.get(PATH, headers=staff)).json()["variants"]

    assert [
        (v["sku"], v["price_minor"], v["compare_at_minor"], v["availability"]) for v in shown
    ] == [
        ("BOARD-M", 500, None, "backorder"),
        ("BOARD-S", 300, None, "in_stock"),
        ("BOARD-L", 500, 700, "out_of_stock"),
    ]
    assert [(v["currency"], v["price_minor"]) for v in abroad] == [("EUR", None)] * 3
    assert [v["sku"] for v in all_of_them] == ["BOARD-XL", "BOARD-M", "BOARD-S", "BOARD-L"]
    assert shown[0]["available_from"] == "2027-01-31"
    assert "cost_minor" not in shown[0]


@pytest.mark.parametrize(
    "hidden",
    [
        {"status": "draft"},
        {"status": "archived"},
        {"published_at": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
        None,
    ],
)
async def test_what_is_not_public_exists_for_staff_only_and_is_not_sold(
    client: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    staff: Staff,
    hidden: dict[str, str] | None,
) -> None:
    await put(client, staff)
    await put_variant(client, staff, "BOARD")
    sold = await post_order(stranger, ("BOARD", 1))
    if hidden is None:
        await client.delete(PATH, headers=staff)
    else:
        await put(client, staff, **hidden)

    refused = await post_order(stranger, ("BOARD", 1))
    seen = [await stranger.get(path) for path in (PATH, "/v1/variants/BOARD")]
    listed = await stranger.get("/v1/products")
    by_staff = await client.get(PATH, headers=staff)
    back = await put(client, staff)
    again = await post_order(stranger, ("BOARD", 1))

    assert (sold.status_code, again.status_code) == (202, 202)
    assert_problem(refused, 422, "product_inactive", "lines[0].sku")
    for answer in seen:
        assert_problem(answer, 404, "not_found")
    assert listed.json() == {"products": []}
    assert by_staff.status_code == (404 if hidden is None else 200)
    assert (back.status_code, back.json()["version"]) == (201 if hidden is None else 200, 3)


async def test_active_product_is_public_since_it_is_active(
    client: httpx.AsyncClient, staff: Staff
) -> None:
    draft = await put(client, staff, status="draft")
    active = await put(client, staff)
    same = await put(client, staff, name="Board")
    drawn_back = await put(client, staff, status="draft")

    since = [a.json()["published_at"] for a in (draft, active, same, drawn_back)]
    assert since == [None, since[1], since[1], None]
    assert since[1] is not None


async def test_change_goes_through_only_if_its_sender_saw_the_last_version(
    client: httpx.AsyncClient, staff: Staff
) -> None:
    await put(client, staff)
    await put_variant(client, staff, "BOARD")
    seen = (await client.get(PATH, headers=staff)).headers["etag"]
    await put_variant(client, staff, "BOARD", price_minor=1)

    cheaper = await client.get(PATH, headers=staff | {"If-None-Match": seen})
    known = await client.get(PATH, headers=staff | {"If-None-Match": cheaper.headers["etag"]})
    first = await put(client, staff | {"If-Match": seen}, name="Board")
    late = await put(client, staff | {"If-Match": seen}, name="Plank")
    unseen = await put(client, staff | {"If-None-Match": "*"}, name="Plank")
    kept = await client.delete(PATH, headers=staff | {"If-Match": seen})

    assert (cheaper.status_code, known.status_code, first.status_code) == (200, 304, 200)
    for refused in (late, unseen, kept):
        assert_problem(refused, 412, "precondition_failed")


@pytest.mark.parametrize("there", [False, True])
async def test_what_an_import_wrote_while_a_change_waited_is_not_written_over(
    client: httpx.AsyncClient, staff: Staff, database: Database, *, there: bool
) -> None:
    async def is_waiting() -> bool:
        return await waiting_for_locks(database) > 0

    if there:
        await put(client, staff)
    seen = {"If-Match": '"1"'} if there else {"If-None-Match": "*"}
    async with transaction(database) as tx:
        # Like an import, it takes no lock but that of the row.
        await tx.execute(
            text(
                "INSERT INTO catalogue_products AS p (id, slug, name) VALUES (:id, :slug, 'Theirs')"
                " ON CONFLICT (slug) DO UPDATE SET name = 'Theirs', version = p.version + 1"
            ),
            {"id": new_id(), "slug": "oak-board"},
        )
        putting = asyncio.create_task(put(client, staff | seen))
        await until(is_waiting)

    assert_problem(await putting, 412, "precondition_failed")
    assert (await client.get(PATH, headers=staff)).json()["name"] == "Theirs"


async def test_of_ten_creations_at_once_one_goes_through(
    client: httpx.AsyncClient, staff: Staff
) -> None:
    new = staff | {"If-None-Match": "*"}

    answers = await asyncio.gather(*(put(client, new, name=f"Board {n}") for n in range(10)))

    assert sorted(a.status_code for a in answers) == [201] + [412] * 9


async def test_list_is_of_a_category_and_all_below_it_page_by_page(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, staff: Staff
) -> None:
    for slug, parent in {"home": None, "kitchen": "home", "garden": None}.items():
        body = {"name": slug, "parent": parent}
        await client.put(f"/v1/categories/{slug}", json=body, headers=staff)
    for n, category in enumerate(["home", "kitchen", "garden", "kitchen", None]):
        await put(client, staff, f"/v1/products/p-{n}", category=category)
    await put(client, staff, "/v1/products/p-5", category="home", status="draft")

    first = await stranger.get("/v1/products", params={"category": "home", "limit": 2})
    link = first.headers["link"].partition(">")[0].removeprefix("<")
    second = await stranger.get(link)
    drafts = await client.get("/v1/products", params={"status": "draft"}, headers=staff)
    refused = await stranger.get("/v1/products", params={"status": "draft"})

    def slugs(page: httpx.Response) -> list[str]:
        return [product["slug"] for product in page.json()["products"]]

    assert [slugs(page) for page in (first, second, drafts)] == [["p-3", "p-1"], ["p-0"], ["p-5"]]
    assert "link" not in second.headers
    assert_problem(refused, 403, "forbidden", "status")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"category": "nowhere"}, 422, "unknown_category"),
        ({"description": "nul\u0000"}, 400, "invalid_request"),
        ({"attributes": {f"a{n}": n for n in range(51)}}, 400, "invalid_request"),
        ({"attributes": {"A": 1}}, 400, "invalid_request"),
        ({"attributes": {"a": {}}}, 400, "invalid_request"),
        ({"attributes": {"a": "\u202e"}}, 400, "invalid_request"),
        ({"images": [{"url": "http://img.example/a"}]}, 400, "invalid_request"),
        ({"images": [{"url": "https://img.example/a"}] * 21}, 400, "invalid_request"),
        ({"status": "gone"}, 400, "invalid_request"),
        ({"published_at": "2026-01-01T00:00:00"}, 400, "invalid_request"),
        ({"published_at": "9999-12-31T23:59:59-23:59"}, 400, "invalid_request"),
    ],
)
async def test_product_that_cannot_be_is_refused(
    client: httpx.AsyncClient, staff: Staff, changes: dict[str, Any], status: int, code: str
) -> None:
    refused = await put(client, staff, **changes)

    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert (await client.get(PATH, headers=staff)).status_code == 404


async def test_category_of_a_product_stays_until_the_product_goes(
    client: httpx.AsyncClient, staff: Staff
) -> None:
    await client.put("/v1/categories/kitchen", json={"name": "Kitchen"}, headers=staff)
    await put(client, staff, category="kitchen")

    refused = await client.delete("/v1/categories/kitchen", headers=staff)
    await client.delete(PATH, headers=staff)
    gone = await client.delete("/v1/categories/kitchen", headers=staff)

    assert_problem(refused, 409, "category_in_use")
    assert gone.status_code == 204


async def test_price_that_begins_or_ends_is_seen_then_though_nobody_writes(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, staff: Staff
) -> None:
    await put(client, staff)
    await put_variant(client, staff, "BOARD", price_minor=500)
    begins = datetime.now(UTC) + timedelta(seconds=2)
    times = {"valid_from": begins, "valid_to": begins + timedelta(seconds=2)}
    sale = {"currency": "GBP", **{name: at.isoformat() for name, at in times.items()}}
    await client.put("/v1/price-lists/sale", json=sale, headers=staff)
    entry = "/v1/price-lists/sale/entries/BOARD"
    await client.put(entry, json={"price_minor": 400}, headers=staff)

    async def costs(minor: int) -> bool:
        return (await stranger.get(PATH)).json()["variants"][0]["price_minor"] == minor

    assert await costs(500)
    for minor, at in ((400, times["valid_from"]), (500, times["valid_to"])):
        await eventually(partial(costs, minor))
        # The clocks of the machine are one; a reading may take its time.
        assert at <= datetime.now(UTC) < at + timedelta(seconds=1)
