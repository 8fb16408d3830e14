import json
import time
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from litestar import Litestar
from sqlalchemy import select

from api.application import build
from api.webhooks import DISPUTE_OPENED, WEBHOOK_BYTES_MAX
from db import tables
from db.engine import Database, transaction
from db.ids import new_id
from domain.payment import Succeeded
from domain.task import Kind
from ops.config import Settings
from tests.api.paid import TOTAL, Pay, lost
from tests.api.routes import WEBHOOK
from tests.application import build_again
from tests.bank import Bank
from tests.postgres import locked
from tests.records import make_due, timeline, work
from tests.signed import SIGNING_KEY, signed
from tests.stages import drain_payments
from tests.web import assert_problem, rows, served

CARD = "4242424242424242"


@pytest.fixture
async def app(settings: Settings, database: Database) -> Litestar:
    del database
    return build_again(
        msgspec.structs.replace(settings, stripe_webhook_secrets=f"old, {SIGNING_KEY}")
    )


def an_event(kind: str = "charge.succeeded", event_id: str = "evt_1", **about: Any) -> bytes:
    return json.dumps(
        {"id": event_id, "type": kind, "created": 1, "data": {"object": about}}
    ).encode()


async def tell(client: httpx.AsyncClient, body: bytes, **signing: Any) -> httpx.Response:
    return await client.post(WEBHOOK, content=body, headers=signed(body, SIGNING_KEY, **signing))


async def kept(database: Database) -> list[tuple[str, str, dict[str, Any], UUID | None]]:
    i = tables.inbox.c
    async with transaction(database) as tx:
        found = await tx.execute(select(i.source, i.message_id, i.payload, i.order_id))
        return [(source, name, payload, about) for source, name, payload, about in found]


async def test_an_event_about_an_open_payment_has_the_gateway_asked_at_once(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = (await lost(client, database, settings, bank)).rpartition("/")[2]
    assert (await work(database, UUID(order_id), Kind.CHARGE)).due_in_s > 1
    body = an_event(id="pi_1", status="succeeded", amount=1, metadata={"order_id": order_id})

    answers = [await tell(client, body), await tell(client, body)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert (await work(database, UUID(order_id), Kind.CHARGE)).due_in_s <= 0
    await drain_payments(database, settings, bank)
    assert bank.verbs()[:2] == ["charge", "find"]
    [(source, event_id, _, about)] = await kept(database)
    assert (source, event_id, about) == ("stripe", "evt_1", UUID(order_id))


async def test_the_same_event_again_hurries_nothing(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = (await lost(client, database, settings, bank)).rpartition("/")[2]
    body = an_event(metadata={"order_id": order_id})
    await tell(client, body)
    bank.found.append(None)
    bank.down = True
    await drain_payments(database, settings, bank)
    waiting = (await work(database, UUID(order_id), Kind.CHARGE)).due_in_s

    again = await tell(client, body)

    assert again.status_code == 200
    assert waiting > 1
    assert (await work(database, UUID(order_id), Kind.CHARGE)).due_in_s > 1


async def test_of_an_event_only_what_is_needed_is_kept(
    client: httpx.AsyncClient, database: Database
) -> None:
    body = an_event(
        id="ch_1",
        status="succeeded",
        amount=5,
        payment_intent="pi_1",
        reason=CARD,
        charge="a\u0000b",
        billing_details={"name": "Ann"},
        payment_method_details={"card": {"last4": "4242"}},
    )

    await tell(client, body)

    [(_, _, payload, _)] = await kept(database)
    about = {"id": "ch_1", "status": "succeeded", "amount": 5, "payment_intent": "pi_1"}
    assert payload == {"id": "evt_1", "type": "charge.succeeded", "created": 1, "object": about}


async def test_a_dispute_is_told_in_the_timeline_once(client: httpx.AsyncClient, pay: Pay) -> None:
    location = await pay()
    order_id = UUID(location.rpartition("/")[2])
    about = {"id": "dp_1", "amount": 700, "reason": "fraudulent"}
    body = an_event(DISPUTE_OPENED, metadata={"order_id": str(order_id)}, **about)

    for _ in range(2):
        assert (await tell(client, body)).status_code == 200

    told = (await client.get(f"{location}/events")).json()["events"]
    assert [e["kind"] for e in told].count("payment_disputed") == 1
    assert told[-1]["data"] == {"dispute_ref": "dp_1", "amount_minor": 700, "reason": "fraudulent"}
    assert told[-1]["status"] == "paid"


async def test_a_dispute_of_an_order_that_is_held_for_long_is_to_be_sent_again(
    client: httpx.AsyncClient, database: Database, pay: Pay
) -> None:
    order_id = (await pay()).rpartition("/")[2]
    body = an_event(DISPUTE_OPENED, id="dp_1", metadata={"order_id": order_id})

    async with locked(database, "orders"):
        early = await tell(client, body)
    nothing = await kept(database)
    late = await tell(client, body)

    assert_problem(early, 503, "unavailable")
    assert nothing == []
    assert late.status_code == 200
    assert (await timeline(database, UUID(order_id))).count("payment_disputed") == 1


async def test_a_dispute_of_a_charge_that_is_not_settled_is_to_be_sent_again(
    app: Litestar, client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank
) -> None:
    app.state.settings = msgspec.structs.replace(
        app.state.settings, payment_gateways="bank=https://sk_1@bank.example"
    )
    location = await lost(client, database, settings, bank)
    order_id = UUID(location.rpartition("/")[2])
    a = tables.payment_attempts.c
    query = select(a.id, a.gateway_ref).where(a.order_id == order_id)
    async with transaction(database) as tx:
        attempt_id, ref = (await tx.execute(query)).one()
    before = an_event(DISPUTE_OPENED, "evt_0", id="dp_0", payment_intent="pi_foreign")
    event = an_event(DISPUTE_OPENED, id="dp_1", payment_intent="pi_1", amount=TOTAL)
    now = event.replace(b'"created": 1', b'"created": %d' % time.time())

    async def say(body: bytes) -> int:
        path = WEBHOOK.replace("stripe", "bank")
        answer = await client.post(path, content=body, headers=signed(body, SIGNING_KEY))
        return answer.status_code

    assert ref is None
    assert await say(now) == HTTPStatus.SERVICE_UNAVAILABLE
    assert await kept(database) == []
    assert await say(before) == HTTPStatus.OK
    bank.found.append(Succeeded("pi_1"))
    await make_due(database)
    await drain_payments(database, settings, bank)
    assert await say(now) == HTTPStatus.OK
    assert (await timeline(database, order_id)).count("payment_disputed") == 1
    assert ("find", attempt_id) in bank.asked


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"metadata": {"order_id": str(new_id())}},
        {"metadata": {"order_id": "no id"}},
        {"metadata": [], "payment_intent": {"id": "pi_1"}, "amount": "5", "id": 7},
    ],
    ids=range(4),
)
@pytest.mark.parametrize("kind", ["something.new", DISPUTE_OPENED])
async def test_what_is_about_no_order_of_ours_is_kept_and_ignored(
    client: httpx.AsyncClient, database: Database, kind: str, about: dict[str, Any]
) -> None:
    assert (await tell(client, an_event(kind, **about))).status_code == 200
    assert [order_id for *_, order_id in await kept(database)] == [None]


@pytest.mark.parametrize("late_s", [-400, 400])
async def test_an_old_event_is_refused(
    client: httpx.AsyncClient, database: Database, late_s: float
) -> None:
    answer = await tell(client, an_event(), late_s=late_s)

    assert_problem(answer, 400, "signature_invalid", "Stripe-Signature")
    assert await kept(database) == []


async def test_only_who_knows_a_secret_is_heard(
    client: httpx.AsyncClient, database: Database
) -> None:
    body = an_event()
    good = signed(body, SIGNING_KEY)["Stripe-Signature"]
    post = partial(client.post, WEBHOOK, content=body)

    refused = [
        await post(),
        await post(headers=signed(body, "forged")),
        await post(headers=signed(body + b" ", SIGNING_KEY)),
        await post(headers=[("Stripe-Signature", good), ("Stripe-Signature", good)]),
    ]

    for answer in refused:
        assert_problem(answer, 400, "signature_invalid", "Stripe-Signature")
    assert await kept(database) == []
    assert (await post(headers=signed(body, "old"))).status_code == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"1", b'{"id": "evt_1"}', b'{"id": 1, "type": "a"}', b"[" * 100_000,
     b'{"id": "a b", "type": "a"}', b'{"id": "\\u0000", "type": "a"}', b'{"id": "\xff"}'],
    ids=range(10),
)  # fmt: skip
async def test_what_is_signed_and_no_event_is_refused(
    client: httpx.AsyncClient, database: Database, body: bytes
) -> None:
    assert_problem(await tell(client, body), 400, "invalid_request")
    assert await kept(database) == []


async def test_reference_with_digits_as_of_a_card_is_one(
    client: httpx.AsyncClient, database: Database
) -> None:
    event_id, charge = "evt_615dbf3bf2394353043891590", f"ch_3MmlLr{CARD}"

    answer = await tell(client, an_event(event_id=event_id, id=charge, reason=CARD))

    assert answer.status_code == 200
    [(_, name, payload, _)] = await kept(database)
    assert (name, payload["object"]) == (event_id, {"id": charge})


async def test_too_long_an_event_is_refused(client: httpx.AsyncClient) -> None:
    answer = await tell(client, an_event(note="x" * WEBHOOK_BYTES_MAX))

    assert_problem(answer, 413, "body_too_large")


async def test_another_gateway_is_not_there(client: httpx.AsyncClient) -> None:
    body = an_event()

    answer = await client.post(
        "/v1/gateways/other/webhook", content=body, headers=signed(body, SIGNING_KEY)
    )

    assert_problem(answer, 404, "not_found")


async def test_without_a_secret_nobody_is_heard(settings: Settings, database: Database) -> None:
    before = await rows(database)

    async with served(build(settings)) as closed:
        answer = await tell(closed, an_event())

    assert_problem(answer, 403, "forbidden")
    assert "STRIPE_WEBHOOK_SECRETS" in answer.json()["detail"]
    assert await rows(database) == before


async def test_a_configured_gateway_is_heard_by_its_name(
    settings: Settings, database: Database
) -> None:
    named = msgspec.structs.replace(
        settings,
        payment_gateways="first=https://sk_1@a.example,second=https://sk_2@b.example",
        stripe_webhook_secrets=SIGNING_KEY,
    )
    body = an_event()
    headers = signed(body, SIGNING_KEY)

    async with served(build(named)) as client:
        heard = await client.post("/v1/gateways/second/webhook", content=body, headers=headers)
        unheard = await client.post(WEBHOOK, content=body, headers=headers)

    assert (heard.status_code, unheard.status_code) == (200, 404)
    assert [source for source, *_ in await kept(database)] == ["second"]
