import httpx
from sqlalchemy import text

from db import audits
from db.audits import Limits
from db.engine import Database, transaction
from tests.api.paid import Pay


async def test_broken_invariant_is_shown_with_the_rows_it_points_at_and_closed_with_a_note(
    client: httpx.AsyncClient, pay: Pay, database: Database
) -> None:
    order_id = (await pay()).rpartition("/")[2]
    before = (await client.get("/ops/invariants")).text
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE stock SET reserved = 1 WHERE sku = 'APPLE'"))
        await tx.execute(text("UPDATE orders SET version = 9"))
    async with transaction(database) as tx:
        await audits.look(tx, Limits())

    page = (await client.get("/ops/invariants")).text
    [first] = page.split('data-api="POST /v1/findings/')[1:2]
    finding = first.partition("/")[0]
    await client.post(f"/v1/findings/{finding}/close", json={"note": "<i>Counted</i>"})
    closed = (await client.get("/ops/invariants?findings=all")).text

    assert "not looked at" in before
    assert "Nothing is found" in before
    assert f'href="/ops/orders/{order_id}"' in page
    assert 'href="/ops/stock/APPLE"' in page
    assert "1 reserved, orders hold 0" in page
    assert page.index("broken</span>") < page.index("holds</span>")
    assert "&lt;i&gt;Counted&lt;/i&gt;" in closed
