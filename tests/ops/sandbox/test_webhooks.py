import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import stripe
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.ops.sandbox.caller import Caller
from tests.ops.sandbox.merchant import Merchant, merchant_of
from tests.outside import Sandbox, Start
from tests.waiting import eventually

SECRET = "whsec_of_this_test"  # noqa: S105 - signs nothing but this test's events


class Receiver(msgspec.Struct):
    """A merchant's endpoint: keeps what came, and answers with the next of its statuses."""

    url: str = ""
    statuses: list[int] = []
    came: list[tuple[bytes, str]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.came.append((await request.read(), request.headers["Stripe-Signature"]))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 204)

    def verified(self) -> list[Any]:
        """Return the events that the SDK takes for true, in the order they came."""
        return [event for each in self.came if (event := _verified(*each)) is not None]

    async def until(self, count: int) -> None:
        async def have_come() -> bool:
            return len(self.came) >= count

        await eventually(have_come)


def _verified(body: bytes, signature: str) -> Any:
    try:
        return stripe.Webhook.construct_event(body, signature, SECRET)
    except stripe.SignatureVerificationError:
        return None


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    received = Receiver()
    app = web.Application()
    app.router.add_post("/hook", received.take)
    async with TestServer(app) as server:
        received.url = str(server.make_url("/hook"))
        yield received


@pytest.fixture
async def told(start: Start, tmp_path: Path, receiver: Receiver) -> Sandbox:
    """A sandbox that tells the receiver."""
    environ = {"SANDBOX_WEBHOOK_URL": receiver.url, "SANDBOX_WEBHOOK_SECRET": SECRET}
    return await asyncio.to_thread(start, tmp_path, **environ)


@pytest.fixture
async def telling(told: Sandbox, http: stripe.HTTPClient) -> Merchant:
    return merchant_of(told.gateway_url, http)


async def test_event_is_signed_as_the_sdk_wants_it(telling: Merchant, receiver: Receiver) -> None:
    paid = await telling.pay(metadata={"order_id": "o-1"})
    await receiver.until(1)

    (event,) = receiver.verified()
    assert (event.object, event.type) == ("event", "payment_intent.succeeded")
    assert event.id.startswith("evt_")
    assert event.data.object["id"] == paid.id
    assert event.data.object["metadata"]["order_id"] == "o-1"
    assert event.api_version


async def test_every_kind_of_end_is_told(telling: Merchant, receiver: Receiver) -> None:
    with pytest.raises(stripe.CardError):
        await telling.pay("pm_card_chargeDeclined")
    held = await telling.hold()
    await telling.void(held.id)
    await telling.pay("pm_card_threeDSecure2Required")
    disputed = await telling.pay("pm_card_createDispute")
    assert await telling.disputes(disputed.id)
    await telling.refund((await telling.pay()).id, amount=1)
    await receiver.until(9)

    assert sorted(event.type for event in receiver.verified()) == [
        "charge.dispute.created",
        "charge.refunded",
        "payment_intent.amount_capturable_updated",
        "payment_intent.canceled",
        "payment_intent.payment_failed",
        "payment_intent.requires_action",
        "payment_intent.succeeded",
        "payment_intent.succeeded",
        "refund.created",
    ]


async def test_refused_event_comes_again_until_it_is_taken(
    telling: Merchant, receiver: Receiver
) -> None:
    receiver.statuses = [500, 404]
    await telling.pay()
    await receiver.until(3)

    assert len({event.id for event in receiver.verified()}) == 1


async def test_undelivered_event_is_delivered_after_a_kill_and_a_delivered_one_not_again(
    start: Start, tmp_path: Path, told: Sandbox, telling: Merchant, receiver: Receiver
) -> None:
    await telling.pay()
    await receiver.until(1)
    # Nobody takes the second one before the kill.
    receiver.statuses = [503] * 50
    kept = await telling.pay()
    await receiver.until(2)
    told.process.kill()
    told.stop()
    receiver.came, receiver.statuses = [], []

    await asyncio.to_thread(
        start,
        tmp_path,
        SANDBOX_WEBHOOK_URL=receiver.url,
        SANDBOX_WEBHOOK_SECRET=SECRET,
    )
    await receiver.until(1)

    assert {event.data.object["id"] for event in receiver.verified()} == {kept.id}


@pytest.mark.parametrize(
    ("fault", "true"), [("doubled", 2), ("forged", 1), ("old", 1), ("late", 1), ("shuffled", 1)]
)
async def test_webhook_faults_strike_as_posted(
    told: Sandbox, telling: Merchant, receiver: Receiver, fault: str, true: int
) -> None:
    await post_fault(told, fault=f"webhook-{fault}", delay_s=0.3, count=1)

    paid = await telling.pay()
    await receiver.until(1 if fault in {"late", "shuffled"} else 2)

    events = receiver.verified()
    assert [event.data.object["id"] for event in events] == [paid.id] * true
    assert len({event.id for event in events}) == 1


async def test_late_events_overtake_each_other_but_all_come(
    told: Sandbox, telling: Merchant, receiver: Receiver
) -> None:
    await post_fault(told, fault="webhook-late", delay_s=1.0, count=1)

    late = await telling.pay()
    prompt = await telling.pay()
    await receiver.until(2)

    assert [each.data.object["id"] for each in receiver.verified()] == [prompt.id, late.id]


async def test_event_comes_before_the_answer_if_the_board_says_so(
    told: Sandbox, telling: Merchant, receiver: Receiver
) -> None:
    await post_fault(told, fault="told-first", delay_s=2.0, count=1)

    paying = asyncio.create_task(telling.pay())
    await receiver.until(1)

    assert not paying.done()
    assert [each.data.object["id"] for each in receiver.verified()] == [(await paying).id]


async def post_fault(sandbox: Sandbox, **fault: Any) -> None:
    async with aiohttp.ClientSession() as session:
        caller = Caller(session, sandbox.gateway_url)
        assert (await caller.fault(**fault)).status == 200
