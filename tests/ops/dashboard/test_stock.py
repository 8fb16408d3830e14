import httpx

from db.engine import Database
from tests.api.paid import Pay, ask
from tests.builders import put_products
from tests.stages import drain_inventory
from tests.web import post_order


async def test_page_of_a_sku_explains_every_number_of_it(
    client: httpx.AsyncClient, pay: Pay
) -> None:
    order_id = (await pay()).rpartition("/")[2]
    await ask(
        client, "/v1/stock/APPLE/adjustments", {"delta": -3, "reason": "<b>Broken</b> in transit."}
    )

    page = (await client.get("/ops/stock/APPLE")).text

    for expected in (
        "95 are for sale: 95 on hand less 0 that orders hold; on hand are 97 counted in less 2",
        "&lt;b&gt;Broken&lt;/b&gt; in transit.",
        "admin@orderflow.test",
        f"/ops/orders/{order_id}",
        'data-api="POST /v1/stock/APPLE/adjustments"',
    ):
        assert expected in page, expected
    assert "explained by no movement" not in page


async def test_page_of_a_sku_shows_where_it_lies_what_is_to_come_and_what_is_promised(
    client: httpx.AsyncClient, database: Database
) -> None:
    await put_products(database, APPLE=1)
    await client.put("/v1/locations/north", json={"name": "North", "country": "GB"})
    await client.put("/v1/stock/APPLE/backorders", json={"max": 7})
    await ask(client, "/v1/stock/APPLE/receipts", {"quantity": 2, "location": "north"})
    await ask(client, "/v1/stock/APPLE/incoming", {"quantity": 40, "note": "<i>By ship</i>"})
    await post_order(client, ("APPLE", 6))
    await drain_inventory(database)

    page = (await client.get("/ops/stock/APPLE")).text

    for expected in (
        "-3 are for sale: 3 on hand less 0 that orders hold and 6 promised to orders that wait;",
        '<option value="north">north</option>',
        "&lt;i&gt;By ship&lt;/i&gt;",
        'data-api="POST /v1/stock/APPLE/receipts"',
        'data-api="PUT /v1/stock/APPLE/backorders"',
    ):
        assert expected in page, expected


async def test_scarce_skus_come_first_and_others_are_found_by_how_they_begin(
    client: httpx.AsyncClient, database: Database
) -> None:
    await put_products(database, APPLE=10, FIG=0)
    await client.put("/v1/stock/APPLE/threshold", json={"low_at": 10})

    scarce = (await client.get("/ops/stock")).text
    found = (await client.get("/ops/stock?q=ap")).text

    assert scarce.index("/ops/stock/FIG") < scarce.index("/ops/stock/APPLE")
    assert "/ops/stock/APPLE" in found
    assert "/ops/stock/FIG" not in found
    assert (await client.get("/ops/stock/NOPE")).status_code == 404
