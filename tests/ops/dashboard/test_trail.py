import httpx

from db.engine import Database
from ops.dashboard.trail import VALUE_CHARS_MAX, Difference, differences
from tests.builders import put_products
from tests.staff import ADMIN


async def test_log_shows_who_did_what_and_what_that_changed(
    client: httpx.AsyncClient, database: Database
) -> None:
    await put_products(database, APPLE=10, PEAR=10)
    await client.put("/v1/stock/APPLE", json={"on_hand": 4})
    await client.put("/v1/stock/PEAR", json={"on_hand": 3})

    page = (await client.get("/ops/audit")).text
    narrowed = await client.get(
        "/ops/audit",
        params={
            "actor": str(ADMIN),
            "action": "stock.put",
            "target_kind": "stock",
            "target": "APPLE",
            "since": "2026-01-01T00:00:00Z",
        },
    )

    assert page.index("/ops/stock/PEAR") < page.index("/ops/stock/APPLE")
    assert "<dt>on_hand</dt><dd><del>10</del> <ins>4</ins></dd>" in page
    assert "<dt>reserved</dt>" not in page
    assert "admin@orderflow.test" in page
    assert "/ops/stock/APPLE" in narrowed.text
    assert "/ops/stock/PEAR" not in narrowed.text
    assert (await client.get("/ops/audit?since=yesterday")).status_code == 400


def test_change_of_thousands_is_told_in_short() -> None:
    prices = [{"sku": f"SKU-{n}", "price_minor": n} for n in range(5_000)]

    [put, note] = differences({}, {"put": prices, "note": "x" * VALUE_CHARS_MAX})

    assert put.after is not None
    assert put.after.startswith('[{"sku":"SKU-0","price_minor":0}')
    assert put.after.endswith(" …")
    assert len(put.after) == VALUE_CHARS_MAX + len(" …")
    assert note.after == "x" * VALUE_CHARS_MAX


def test_what_was_the_same_is_no_difference() -> None:
    before, after = {"a": 1, "b": "x", "c": None}, {"a": 1, "b": "y", "d": [1]}

    assert differences(before, after) == [
        Difference("b", "x", "y"),
        Difference("d", None, "[1]"),
    ]
    assert differences(None, None) == []
