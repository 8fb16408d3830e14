"""Invoices are sent in their order and pace, and undo exactly what they take back."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from aiohttp import web

from ops.local.client import Refused
from ops.local.invoices import Invoice
from ops.local.traffic import Traffic, order, undoable, unknown_countries
from tests.ops.local.answering import accepts, answers, says, serving

BEGAN = datetime(2010, 12, 1, 8, 26)  # noqa: DTZ001 - the file names no zone


class Uncounted:
    def advance(self) -> None:
        """Nobody looks."""

    def reach(self, done: int) -> None:
        """Nobody looks."""


def an_invoice(
    number: str,
    quantities: Mapping[str, int] | None = None,
    *,
    customer: str = "17850",
    country: str = "United Kingdom",
    after_s: float = 0,
) -> Invoice:
    return Invoice(
        number=number,
        cancels=number.startswith("C"),
        at=BEGAN + timedelta(seconds=after_s),
        customer=customer,
        country=country,
        quantities={"lamp": 1} if quantities is None else quantities,
        refused=None,
    )


def test_a_cancellation_may_undo_the_same_customers_same_orders_latest_first() -> None:
    invoices = [
        an_invoice("1", {"lamp": 1, "vase": 2}),
        an_invoice("2", {"lamp": 1}),
        an_invoice("3", {"vase": 2, "lamp": 1}),
        an_invoice("4", {"lamp": 1, "vase": 2}, customer="13047"),
        an_invoice("C5", {"lamp": 1, "vase": 2}),
        an_invoice("6", {"lamp": 1, "vase": 2}),
    ]

    assert undoable(invoices) == {"C5": ["3", "1"]}


def test_a_cancellation_of_a_guest_or_of_nothing_undoes_nothing() -> None:
    invoices = [an_invoice("1", customer=""), an_invoice("C2", customer=""), an_invoice("C3", {})]

    assert undoable(invoices) == {"C2": [], "C3": []}


def test_an_order_says_who_wants_what_and_where() -> None:
    made = order(an_invoice("536365", {"lamp": 1, "vase": 2}, country="EIRE"))

    assert made.email == "customer-17850@retail.example"
    assert [(item.sku, item.quantity) for item in made.lines] == [("lamp", 1), ("vase", 2)]
    assert (made.ship_to.name, made.ship_to.city) == ("Customer 17850", "EIRE")
    assert made.ship_to.country == "IE"


def test_countries_without_a_code_are_counted_by_name() -> None:
    invoices = [an_invoice("1"), an_invoice("2", country=""), an_invoice("3", country="Narnia")]

    assert unknown_countries(invoices) == {"(none)": 1, "Narnia": 1}
    assert order(invoices[2]).ship_to.country == "ZZ"


async def test_each_order_is_cancelled_once_after_it_was_accepted() -> None:
    came = asyncio.Event()

    async def accepts_late(request: web.Request) -> web.Response:
        await came.wait()
        return await accepts(request)

    async def accepts_and_wakes(request: web.Request) -> web.Response:
        came.set()
        return await accepts(request)

    invoices = [
        an_invoice("1"),
        an_invoice("C2"),
        an_invoice("C3"),
        an_invoice("4", customer="13047"),
    ]
    async with serving(accepts_late, accepts_and_wakes, answers({})) as (client, asked):
        traffic = Traffic(client, "run", speed=None)
        await traffic.send(invoices, Uncounted())

    assert [request.path for request in asked] == [
        "/v1/orders",
        "/v1/orders",
        f"/v1/orders/{UUID(int=7)}/cancel",
    ]
    assert set(traffic.moved.accepted) == {"1", "4"}
    assert traffic.moved.cancelled_by == {"1": "C2"}
    assert traffic.moved.unmatched == ["C3"]


async def test_an_order_that_was_refused_cannot_be_cancelled() -> None:
    async with serving(says(422, "total_too_large")) as (client, _):
        traffic = Traffic(client, "run", speed=None)
        await traffic.send([an_invoice("1"), an_invoice("C2")], Uncounted())

    assert {number: no.code for number, no in traffic.moved.refused.items()} == {
        "1": "total_too_large"
    }
    assert isinstance(traffic.moved.refused["1"], Refused)
    assert traffic.moved.unmatched == ["C2"]


async def test_invoices_keep_their_distance_divided_by_the_speed() -> None:
    at: list[float] = []

    async def accepts_and_notes(request: web.Request) -> web.Response:
        at.append(asyncio.get_running_loop().time())
        return await accepts(request)

    invoices = [an_invoice("1"), an_invoice("2", after_s=3600)]
    async with serving(accepts_and_notes, accepts_and_notes) as (client, asked):
        await Traffic(client, "run", speed=36_000).send(invoices, Uncounted())

    assert [request.headers["Idempotency-Key"] for request in asked] == [
        "replay-run-1",
        "replay-run-2",
    ]
    assert at[1] - at[0] >= 0.09
