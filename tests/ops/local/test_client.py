"""The client repeats what may be repeated, and tells a no from a failure."""

from uuid import UUID

import pytest
from aiohttp import web

from domain import claim
from domain.address import Address
from ops.local.client import Item, NewOrder, PlatformFailed, Refused
from tests.ops.local.answering import ACCEPTED, Handler, accepts, answers, hangs_up, says, serving

ORDER = NewOrder(
    email="ann@example.com",
    currency="GBP",
    lines=[Item("lamp", 1)],
    payment_method="pm_card_visa",
    ship_to=Address("Ann Example", "1 High Street", "London", "N1 1AA", "GB"),
)


@pytest.mark.parametrize(
    "first",
    [hangs_up, says(503, "unavailable"), says(409, "idempotency_in_progress")],
    ids=["hangs up", "unavailable", "in progress"],
)
async def test_a_request_without_an_answer_is_repeated_under_its_key(first: Handler) -> None:
    async with serving(first, accepts) as (client, asked):
        accepted = await client.place(ORDER, key="k-1")

    assert (accepted.id, accepted.total_minor, accepted.replayed) == (UUID(int=7), 500, False)
    assert [request.headers["Idempotency-Key"] for request in asked] == ["k-1", "k-1"]


async def test_a_platform_that_stays_away_is_given_up() -> None:
    async with serving(hangs_up, hangs_up, hangs_up, give_up_after_s=0.05) as (client, asked):
        with pytest.raises(PlatformFailed, match="POST /v1/orders gets no answer: Server"):
            await client.place(ORDER, key="k-1")

    assert len(asked) == 2


async def test_a_no_is_raised_with_its_code_and_not_repeated() -> None:
    async with serving(says(422, "unknown_sku")) as (client, asked):
        with pytest.raises(Refused) as refused:
            await client.place(ORDER, key="k-1")

    assert (refused.value.code, refused.value.detail) == ("unknown_sku", "Because.")
    assert len(asked) == 1


async def test_a_server_error_is_a_failure_and_not_a_no() -> None:
    async with serving(says(500, "internal_error")) as (client, _):
        with pytest.raises(PlatformFailed, match=r"HTTP 500: Because\. \(internal_error\)"):
            await client.place(ORDER, key="k-1")


async def test_an_answer_that_is_no_problem_document_is_told_as_it_is() -> None:
    async def page(request: web.Request) -> web.Response:
        del request
        return web.Response(status=404, text="<h1>nothing here</h1>")

    async with serving(page) as (client, _):
        with pytest.raises(Refused) as refused:
            await client.events(UUID(int=7))

    assert (refused.value.code, refused.value.detail) == ("http_404", "<h1>nothing here</h1>")


async def test_only_staff_routes_get_the_staff_key() -> None:
    level = answers({"sku": "lamp", "on_hand": 9, "reserved": 2, "version": 1})

    async with serving(level, accepts) as (client, asked):
        stock = await client.put_stock("lamp", 9)
        await client.place(ORDER, key="k-1")

    assert (stock.on_hand, stock.reserved) == (9, 2)
    assert [request.headers.get("Authorization") for request in asked] == ["Bearer key", None]


async def test_an_order_placed_here_is_asked_for_with_its_claim_token() -> None:
    async def accepts_a_guest(request: web.Request) -> web.Response:
        del request
        return web.json_response(ACCEPTED, status=202, headers={claim.HEADER: "of_claim_7"})

    events = answers({"events": []})

    async with serving(accepts_a_guest, events, events) as (client, asked):
        accepted = await client.place(ORDER, key="k-1")
        await client.events(accepted.id)
        await client.events(UUID(int=8))

    sent = [request.headers.get("Authorization") for request in asked]
    assert sent == [None, "Bearer of_claim_7", "Bearer key"]
