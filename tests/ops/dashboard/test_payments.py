from uuid import UUID

import httpx
from sqlalchemy import text

from db import breakers
from db.engine import Database, transaction
from domain.payment import Unknown
from ops.config import Settings
from tests.api.paid import lost
from tests.bank import Bank
from tests.records import make_due, sent_long_ago
from tests.stages import drain_payments

EVIL = "<img src=x>"


def reviews(page: str) -> str:
    return page.split('id="reviews"')[1].split("</section>", maxsplit=1)[0]


async def test_desk_shows_what_is_open_with_its_evidence_and_when_it_is_asked_again(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank
) -> None:
    location = await lost(client, database, settings, bank)
    order_id = location.rpartition("/")[2]
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE payment_attempts SET error = :evil"), {"evil": EVIL})

    unknown = (await client.get("/ops/payments")).text
    await sent_long_ago(database, UUID(order_id))
    bank.found.append(Unknown("The gateway is mute."))
    await make_due(database)
    await drain_payments(database, settings, bank)
    review = (await client.get("/ops/payments")).text

    for page in (unknown, review):
        assert f'data-api="POST /v1/orders/{order_id}/lookup"' in page
    assert "&lt;img src=x&gt;" in unknown
    assert EVIL not in unknown
    assert (
        'data-api="POST /v1/orders/' not in unknown.split('id="reviews"')[1].split("</section>")[0]
    )
    assert "The gateway is mute." in review.split('id="reviews"')[1].split("</section>")[0]
    assert f'data-api="POST /v1/orders/{order_id}/resolve"' in review


async def test_breaker_is_held_and_released_and_its_history_shown(
    client: httpx.AsyncClient, database: Database
) -> None:
    async with transaction(database) as tx:
        await breakers.put(tx, "stripe", "host:1", "open")
    held = await client.put(
        "/v1/gateways/stripe/breaker", json={"forced": "open", "note": "They are <moving>."}
    )
    page = (await client.get("/ops/payments")).text
    await client.put("/v1/gateways/stripe/breaker", json={"forced": None, "note": "They moved."})
    after = (await client.get("/ops/payments")).text
    unknown = await client.put("/v1/gateways/nope/breaker", json={"forced": None, "note": "x"})

    assert held.json() == {"gateway": "stripe", "forced": "open"}
    assert "Held open by admin@orderflow.test" in page
    assert "They are &lt;moving&gt;." in page
    assert "host:1" in page.split('id="history"')[1]
    assert "Held open" not in after
    assert unknown.status_code == 404
