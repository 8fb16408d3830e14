"""Reviews over HTTP: by who bought the product, one each, read by support before all others."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar
from msgspec.structs import replace
from sqlalchemy import insert, text

from api import pages
from db import invariants, tables
from db.engine import Database, transaction
from db.ids import new_id
from domain.principal import Role
from tests.api.people import Person, a_person
from tests.api.reviewers import buy, mine, write_review
from tests.builders import put_catalogue_product, put_products
from tests.web import assert_problem

CUP = "/v1/products/cup/reviews"


@pytest.fixture(autouse=True)
async def _catalogue(client: httpx.AsyncClient, database: Database) -> None:
    del client
    await put_products(database, CUP=100, MUG=100)
    async with transaction(database) as tx:
        await put_catalogue_product(tx, "cup", "CUP")
        await put_catalogue_product(tx, "mug", "MUG")
        await put_catalogue_product(tx, "secret", status="draft")


@pytest.fixture
async def ann(app: Litestar, client: httpx.AsyncClient, database: Database) -> Person:
    """A customer who bought a cup."""
    made = await a_person(app, name="Ann Example")
    await buy(client, database, made, "CUP")
    return made


async def moderate(
    client: httpx.AsyncClient, review_id: str, state: str = "published", **more: Any
) -> httpx.Response:
    """Decide as staff."""
    headers = more.pop("headers", {})
    path = f"/v1/reviews/{review_id}/moderation"
    return await client.put(path, json={"state": state, **more}, headers=headers)


async def rating(client: httpx.AsyncClient) -> tuple[int, float | None]:
    """Read the rating of the cup."""
    found = (await client.get(CUP)).json()["rating"]
    return found["reviews"], found["average"]


async def touched(database: Database) -> list[list[str]]:
    """Read what caches were told to forget."""
    async with transaction(database) as tx:
        return list(await tx.scalars(text("SELECT tags FROM invalidations ORDER BY id")))


async def test_review_is_shown_once_support_has_published_it(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, database: Database, ann: Person
) -> None:
    said = {"title": "Sturdy", "text": "<b>It</b>\nholds.", "author": "Ann"}
    written = await write_review(client, ann, "cup", stars=4, **said)
    hidden = await stranger.get(CUP)
    waiting = await client.get("/v1/reviews")

    published = await moderate(client, written.json()["id"])
    shown = await stranger.get(CUP)

    assert written.status_code == 201
    assert (written.json()["state"], written.json()["product"]) == ("pending", "cup")
    assert hidden.json() == {"rating": {"reviews": 0, "average": None}, "reviews": []}
    assert [each["id"] for each in waiting.json()["reviews"]] == [written.json()["id"]]
    assert published.json()["moderated_at"]
    assert [tags for tags in await touched(database) if "rating" in tags[0]] == [
        ["rating:cup", "ratings"]
    ]
    [one] = shown.json()["reviews"]
    assert shown.json()["rating"] == {"reviews": 1, "average": 4.0}
    assert one.keys() == {"id", "created_at", "updated_at", "stars", *said}
    assert {name: one[name] for name in said} == said
    assert "@" not in shown.text
    assert "Example" not in shown.text


@pytest.mark.parametrize("status", ["cancelled", "delivered", "paid", "placed", "returned"])
async def test_only_who_has_it_paid_and_kept_reviews_it(
    app: Litestar, client: httpx.AsyncClient, database: Database, status: str
) -> None:
    eve = await a_person(app)
    await buy(client, database, eve, "CUP", status=status)

    bought = await write_review(client, eve, "cup")
    other = await write_review(client, eve, "mug")

    assert_problem(other, 403, "not_bought")
    if status in {"delivered", "paid"}:
        assert bought.status_code == 201
    else:
        assert_problem(bought, 403, "not_bought")


@pytest.mark.parametrize(("part", "status"), [(1.0, 403), (0.5, 201)])
async def test_who_got_all_the_money_back_reviews_nothing(
    client: httpx.AsyncClient, database: Database, ann: Person, part: float, status: int
) -> None:
    async with transaction(database) as tx:
        order_id, total = (await tx.execute(text("SELECT id, total_minor FROM orders"))).one()
        refund = insert(tables.payment_attempts).values(
            id=new_id(), order_id=order_id, kind="refund", state="succeeded", currency="GBP",
            amount_minor=int(total * part), gateway="stripe",
        )  # fmt: skip
        await tx.execute(refund)

    assert (await write_review(client, ann, "cup")).status_code == status


async def test_one_reviews_the_product_under_which_it_is_sold_now(
    client: httpx.AsyncClient, database: Database, ann: Person
) -> None:
    async with transaction(database) as tx:
        await put_catalogue_product(tx, "tankard", "CUP")

    assert_problem(await write_review(client, ann, "cup"), 403, "not_bought")
    assert (await write_review(client, ann, "tankard")).status_code == 201


async def test_review_is_one_and_is_changed_in_place(
    client: httpx.AsyncClient, database: Database, ann: Person
) -> None:
    first = await write_review(client, ann, "cup", stars=1)
    await moderate(client, first.json()["id"])
    before = await rating(client)

    same = await write_review(client, ann, "cup", stars=1)
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE variants SET product_id = NULL"))
    changed = await write_review(client, ann, "cup", stars=5, text="It grew on me.")
    meanwhile = await rating(client)
    await moderate(client, changed.json()["id"])

    assert (same.status_code, same.json()["state"]) == (200, "published")
    assert (changed.status_code, changed.json()["state"]) == (200, "pending")
    assert changed.json()["id"] == first.json()["id"]
    assert [before, meanwhile, await rating(client)] == [(1, 1.0), (0, None), (1, 5.0)]


async def test_version_of_what_was_deleted_is_never_given_again(
    client: httpx.AsyncClient, ann: Person
) -> None:
    first = await write_review(client, ann, "cup")
    shown = await client.get(mine("cup"), headers=ann.headers)
    gone = [await client.delete(mine("cup"), headers=ann.headers) for _ in range(2)]
    await write_review(client, ann, "cup")

    stale = {"If-Match": first.headers["etag"]}
    refused = await write_review(client, ann, "cup", stars=1, headers=stale)
    kept = await client.delete(mine("cup"), headers=ann.headers | stale)

    assert shown.json() == first.json()
    assert [each.status_code for each in gone] == [204, 204]
    for each in (refused, kept):
        assert_problem(each, 412, "precondition_failed")


async def test_support_publishes_only_what_it_has_read(
    app: Litestar, client: httpx.AsyncClient, ann: Person
) -> None:
    support = await a_person(app, Role.SUPPORT)
    written = await write_review(client, ann, "cup", text="Fine.")
    review = f"/v1/reviews/{written.json()['id']}"
    read = await client.get(review, headers=support.headers)
    changed = await write_review(client, ann, "cup", text="Buy at evil.example!")

    seen = support.headers | {"If-Match": read.headers["etag"]}
    refused = await moderate(client, written.json()["id"], headers=seen)
    rejected = await moderate(
        client,
        written.json()["id"],
        "rejected",
        reason="Advertises.",
        headers=support.headers | {"If-Match": changed.headers["etag"]},
    )

    assert_problem(refused, 412, "precondition_failed")
    assert rejected.status_code == 200
    own = (await client.get(mine("cup"), headers=ann.headers)).json()
    assert (own["state"], own["reason"]) == ("rejected", "Advertises.")
    assert await rating(client) == (0, None)


@pytest.mark.parametrize(
    "body",
    [{"state": "published", "reason": "Nice."}, {"state": "rejected"}, {"state": "pending"}],
)
async def test_rejection_has_a_reason_and_nothing_else_does(
    client: httpx.AsyncClient, ann: Person, body: dict[str, Any]
) -> None:
    written = await write_review(client, ann, "cup")

    field = "state" if body["state"] == "pending" else "reason"
    refused = await moderate(client, written.json()["id"], **body)

    assert_problem(refused, 400, "invalid_request", field)


async def test_rejected_review_comes_back_by_no_change_of_its_author(
    app: Litestar, client: httpx.AsyncClient, ann: Person
) -> None:
    app.state.settings = replace(app.state.settings, reviews_moderated=False)
    written = await write_review(client, ann, "cup")
    await moderate(client, written.json()["id"], "rejected", reason="Rude.")

    changed = await write_review(client, ann, "cup", text="Rude, again.")

    assert written.json()["state"] == "published"
    assert changed.json()["state"] == "pending"


async def a_crowd(app: Litestar, database: Database, stars: list[int]) -> list[UUID]:
    """Publish a review each of so many people, in this order."""
    ids: list[UUID] = []
    for given in stars:
        author, review_id = await a_person(app), new_id()
        ids.append(review_id)
        async with transaction(database) as tx:
            await tx.execute(text("SET LOCAL session_replication_role = replica"))
            await tx.execute(
                text(
                    "INSERT INTO reviews (id, product_id, user_id, order_id, stars, state)"
                    " SELECT :id, p.id, :by, :id, :stars, 'published'"
                    " FROM catalogue_products p WHERE slug = 'cup'"
                ),
                {"id": review_id, "by": author.id, "stars": given},
            )
    return ids


@pytest.mark.parametrize("sort", ["highest", "lowest", "newest"])
async def test_pages_of_a_list_are_all_of_it_in_order(
    app: Litestar, stranger: httpx.AsyncClient, database: Database, sort: str
) -> None:
    stars = [3, 5, 1, 5, 3, 3, 4]
    ids = await a_crowd(app, database, stars)
    pairs = list(zip(stars, map(str, ids), strict=True))

    found: list[str] = []
    path: str | None = f"{CUP}?sort={sort}&limit=2"
    while path:
        page = await stranger.get(path)
        found += [each["id"] for each in page.json()["reviews"]]
        path = page.links.get("next", {}).get("url")
    fives = (await stranger.get(f"{CUP}?sort={sort}&stars=5")).json()["reviews"]

    key: Any = {"newest": lambda pair: pair[1]}.get(sort, lambda pair: pair)
    expected = sorted(pairs, key=key, reverse=sort != "lowest")
    assert found == [review_id for _, review_id in expected]
    assert [each["stars"] for each in fives] == [5, 5]


async def test_cursor_is_good_for_its_own_order_only(
    app: Litestar, stranger: httpx.AsyncClient, database: Database
) -> None:
    await a_crowd(app, database, [3, 5])
    links = [
        (await stranger.get(f"{CUP}?sort={sort}&limit=1")).links["next"]["url"]
        for sort in ("newest", "highest")
    ]

    swapped = [
        links[0].replace("sort=newest", "sort=highest"),
        links[1].replace("sort=highest", "sort=newest"),
        f"{CUP}?cursor={pages.encode(UUID(int=0))}",
    ]

    for path in swapped:
        assert_problem(await stranger.get(path), 400, "invalid_cursor", "cursor")


async def test_reviews_of_what_nobody_sees_are_not_found(
    client: httpx.AsyncClient, ann: Person
) -> None:
    for slug in ("secret", "nothing"):
        assert_problem(await client.get(f"/v1/products/{slug}/reviews"), 404, "not_found")
        assert_problem(await client.get(mine(slug), headers=ann.headers), 404, "not_found")
        assert_problem(await write_review(client, ann, slug), 404, "not_found")
        gone = await client.delete(mine(slug), headers=ann.headers)
        assert gone.status_code == 204


async def test_rating_stays_exact_whatever_is_written_at_once(
    app: Litestar, client: httpx.AsyncClient, database: Database
) -> None:
    authors = [await a_person(app) for _ in range(12)]
    for author in authors:
        await buy(client, database, author, "CUP", "MUG")

    async def live(n: int, author: Person) -> list[httpx.Response]:
        first = (await write_review(client, author, "cup", stars=1 + n % 5)).json()["id"]
        other = (await write_review(client, author, "mug", stars=1 + n % 3)).json()["id"]
        ways_out = [
            lambda: moderate(client, first, "rejected", reason="Rude."),
            lambda: client.delete(mine("mug"), headers=author.headers),
            lambda: write_review(client, author, "mug", stars=2, text="Small."),
        ]
        return await asyncio.gather(
            *(moderate(client, each) for each in (first, other)),
            write_review(client, author, "cup", stars=5),
            ways_out[n % 3](),
            moderate(client, first),
        )

    answers = await asyncio.gather(*(live(n, author) for n, author in enumerate(authors)))

    async with transaction(database) as tx:
        counted = await tx.scalar(text("SELECT sum(reviews) FROM product_ratings"))
        broken = await invariants.check(tx)
    assert counted
    assert [each for each in broken if each.invariant.startswith("R1")] == []
    # What was deleted meanwhile is not found.
    assert {each.status_code for some in answers for each in some} <= {200, 201, 204, 404}


async def test_of_two_first_reviews_at_once_one_stays(
    client: httpx.AsyncClient, database: Database, ann: Person
) -> None:
    answers = await asyncio.gather(
        *(write_review(client, ann, "cup", stars=stars) for stars in (1, 2, 3))
    )

    assert sorted(each.status_code for each in answers) == [200, 200, 201]
    async with transaction(database) as tx:
        assert await tx.scalar(text("SELECT count(*) FROM reviews")) == 1
