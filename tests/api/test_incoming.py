"""Goods come in, go from place to place and are promised: told by HTTP, and explained by it."""

from typing import Any

import httpx

from db.engine import Database
from db.ids import new_id
from tests.builders import put_products
from tests.stages import drain_inventory
from tests.web import assert_problem, post_order

STOCK = "/v1/stock/APPLE"


class Desk:
    """Somebody of the staff who asks, each time with a fresh key."""

    def __init__(self, client: httpx.AsyncClient, staff: dict[str, str]) -> None:
        self._client, self._staff = client, staff

    async def get(self, path: str) -> Any:
        answer = await self._client.get(path, headers=self._staff)
        assert answer.is_success, answer.text
        return answer.json()

    async def send(self, method: str, path: str, **content: Any) -> httpx.Response:
        headers = self._staff | {"Idempotency-Key": content.pop("key", str(new_id()))}
        return await self._client.request(method, path, json=content, headers=headers)

    async def do(self, method: str, path: str, **content: Any) -> Any:
        answer = await self.send(method, path, **content)
        assert answer.is_success, answer.text
        return answer.json()


async def test_every_number_is_shown_in_all_and_by_location_and_its_movements_explain_it(
    client: httpx.AsyncClient, staff: dict[str, str], database: Database
) -> None:
    await put_products(database, APPLE=2)
    desk = Desk(client, staff)
    for n, code in enumerate(("north", "south")):
        await desk.do("PUT", f"/v1/locations/{code}", name=code, country="GB", priority=n)
    due = await desk.do("POST", f"{STOCK}/incoming", quantity=5, location="south")
    await desk.do("POST", f"{STOCK}/receipts", quantity=9, location="north", reason="By lorry.")
    await desk.do("POST", f"{STOCK}/receipts", quantity=2, incoming=due["id"])
    for _ in range(2):
        content = {"quantity": 4, "source": "north", "target": "south", "reason": "Balance."}
        await desk.do("POST", f"{STOCK}/transfers", **content, key="once")
    await desk.do("POST", f"{STOCK}/adjustments", delta=-1, location="south", reason="Broken.")
    await desk.do("POST", f"{STOCK}/counts", counted=6, location="north")
    await post_order(client, ("APPLE", 6))
    await drain_inventory(database)

    shown = await desk.get(STOCK)
    moved = (await desk.get(f"{STOCK}/movements?limit=200"))["movements"]

    numbers = [(at["location"], *list(at.values())[1:]) for at in shown["locations"]]
    assert numbers == [("north", 6, 6, 0, 0), ("south", 5, 0, 5, 3), (None, 2, 0, 2, 0)]
    assert (shown["on_hand"], shown["reserved"], shown["available"]) == (13, 6, 7)
    assert shown["incoming"] == 3
    for place, on_hand, *_ in numbers:
        assert sum(m["on_hand_delta"] for m in moved if m["location"] == place) == on_hand
    assert [(m["cause"], m["location"], m["on_hand_delta"], m["level"]) for m in moved[:4]] == [
        ("count", "north", 1, 6),
        ("adjustment", "south", -1, 5),
        ("transfer", "south", 4, 6),
        ("transfer", "north", -4, 5),
    ]


async def test_customer_sees_when_what_is_promised_is_expected_and_staff_why_the_order_waits(
    client: httpx.AsyncClient, staff: dict[str, str], database: Database
) -> None:
    await put_products(database, APPLE=0)
    desk = Desk(client, staff)
    terms = await desk.do("PUT", f"{STOCK}/backorders", max=5, available_from="2027-05-01")
    placed = await post_order(client, ("APPLE", 3))
    await drain_inventory(database)
    path = placed.headers["location"]

    order = await desk.get(path)
    why = await desk.get(f"{path}/explain")
    await desk.do("POST", f"{STOCK}/incoming", quantity=3, expected_on="2027-06-01")
    then = await desk.get(path)

    assert (terms["backorder_max"], terms["available"]) == (5, 0)
    assert (order["status"], order["expected_on"]) == ("backordered", "2027-05-01")
    assert then["expected_on"] == "2027-06-01"
    assert (why["code"], why["owner"]) == ("no_stock", "staff")
    shown = await desk.get(STOCK)
    assert (shown["backordered"], shown["available"], shown["incoming"]) == (3, -3, 3)


async def test_what_cannot_be_moved_is_refused_with_a_reason(
    client: httpx.AsyncClient, staff: dict[str, str], database: Database
) -> None:
    await put_products(database, APPLE=2)
    desk = Desk(client, staff)
    await desk.do("PUT", "/v1/locations/north", name="North", country="GB")
    came = await desk.do("POST", f"{STOCK}/incoming", quantity=1, location="north")
    held = await desk.send("DELETE", "/v1/locations/north")
    await desk.do("POST", f"/v1/incoming/{came['id']}/cancel")

    nowhere = await desk.send("POST", f"{STOCK}/transfers", quantity=1, reason="Why?")
    unknown = await desk.send("POST", f"{STOCK}/receipts", quantity=1, location="west")
    cancelled = await desk.send("POST", f"{STOCK}/receipts", quantity=1, incoming=came["id"])
    much = await desk.send("POST", f"{STOCK}/transfers", quantity=3, target="north", reason="x")
    stale = await client.put(
        "/v1/locations/north",
        json={"name": "North", "country": "GB"},
        headers=staff | {"If-Match": '"7"'},
    )

    early = await desk.send("POST", f"{STOCK}/incoming", quantity=1, expected_on="0001-01-01")

    assert_problem(early, 400, "invalid_request", "expected_on")
    assert_problem(held, 409, "location_in_use")
    assert_problem(nowhere, 400, "invalid_request", "target")
    assert_problem(unknown, 404, "not_found")
    assert_problem(cancelled, 409, "not_incoming")
    assert_problem(much, 409, "stock_below_reserved")
    assert_problem(stale, 412, "precondition_failed")


async def test_low_stock_is_listed_page_by_page(
    client: httpx.AsyncClient, staff: dict[str, str], database: Database
) -> None:
    await put_products(database, APPLE=9)
    desk = Desk(client, staff)
    for low_at in (9, 8):
        await desk.do("PUT", f"{STOCK}/threshold", low_at=low_at)

    first = await client.get("/v1/stock-events?limit=1", headers=staff)
    second = await client.get(first.links["next"]["url"], headers=staff)

    [replenished], [low] = first.json()["events"], second.json()["events"]
    assert [replenished["kind"], low["kind"]] == ["stock_replenished", "stock_low"]
    assert (low["sku"], low["available"], low["low_at"]) == ("APPLE", 9, 9)
    assert "next" not in second.links
