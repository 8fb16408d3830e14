import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from ops.sandbox.gateway import Gateway
from tests.ops.sandbox.caller import Caller
from tests.outside import Sandbox


async def test_charge_has_stripes_shape(caller: Caller) -> None:
    reply = await caller.charge(order_id="o-1", attempt_id="a-1")

    assert reply.status == 200
    assert reply.headers["Request-Id"].startswith("req_")
    payment = reply.json
    assert payment["id"].startswith("pi_")
    assert (
        payment
        | {
            "object": "payment_intent",
            "status": "succeeded",
            "amount": 1999,
            "amount_received": 1999,
            "currency": "gbp",
            "metadata": {"order_id": "o-1", "attempt_id": "a-1"},
            "last_payment_error": None,
        }
        == payment
    )


@pytest.mark.parametrize("authorization", [None, "Bearer ", "Bearer pk_x", "Basic sk_x"])
async def test_without_a_secret_key_nothing_is_answered(
    outside: Sandbox, authorization: str | None
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{outside.gateway_url}/v1/payment_intents") as response,
    ):
        assert response.status == 401


async def test_same_key_and_parameters_get_the_same_bytes(caller: Caller) -> None:
    key = str(uuid4())
    first = await caller.charge(key, order_id=key)

    again = await caller.charge(key, order_id=key)

    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert len((await search(caller, "order_id", key))["data"]) == 1


async def test_decline_is_kept_under_its_key(caller: Caller) -> None:
    key = str(uuid4())
    first = await caller.charge(key, payment_method="pm_card_chargeDeclinedInsufficientFunds")

    again = await caller.charge(key, payment_method="pm_card_chargeDeclinedInsufficientFunds")

    assert (first.status, again.status) == (402, 402)
    assert first.error["type"] == "card_error"
    assert first.error["code"] == "card_declined"
    assert first.error["decline_code"] == "insufficient_funds"
    assert first.error["payment_intent"]["status"] == "requires_payment_method"
    assert again.body == first.body


async def test_same_key_with_other_parameters_is_refused(caller: Caller) -> None:
    key = str(uuid4())
    await caller.charge(key)

    other = await caller.charge(key, amount="2000")
    elsewhere = await caller.refund("pi_x", key)

    assert (other.status, other.error["type"]) == (400, "idempotency_error")
    assert (elsewhere.status, elsewhere.error["type"]) == (400, "idempotency_error")


async def test_key_in_flight_is_a_conflict_and_charges_once(caller: Caller) -> None:
    key = str(uuid4())
    slow = {"payment_method": "pm_sandbox_delay_700", "order_id": key}

    replies = await asyncio.gather(caller.charge(key, **slow), caller.charge(key, **slow))

    conflict, made = sorted(replies, key=lambda reply: -reply.status)
    assert (conflict.status, conflict.error["code"]) == (409, "idempotency_key_in_use")
    assert made.status == 200
    assert len((await search(caller, "order_id", key))["data"]) == 1


async def test_refused_parameters_use_no_key(caller: Caller) -> None:
    key = str(uuid4())

    refused = await caller.charge(key, amount="0")
    corrected = await caller.charge(key)

    assert (refused.status, corrected.status) == (400, 200)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"amount": "0"}, "amount_too_small"),
        ({"amount": "100000000"}, "amount_too_large"),
        ({"amount": "-5"}, "parameter_invalid_integer"),
        ({"amount": "1.5"}, "parameter_invalid_integer"),
        ({"amount": "١٢"}, "parameter_invalid_integer"),
        ({"payment_method": "pm_card_stolen_from_elsewhere"}, "resource_missing"),
        ({"payment_method": ""}, "parameter_missing"),
        ({"currency": "pounds"}, None),
        ({"confirm": "false"}, None),
        ({"capture_method": "later"}, None),
        ({"colour": "red"}, "parameter_unknown"),
    ],
)
async def test_wrong_charge_is_refused_in_stripes_words(
    caller: Caller, wrong: dict[str, str], code: str | None
) -> None:
    reply = await caller.charge(**wrong)

    assert reply.status == 400
    assert reply.error["type"] == "invalid_request_error"
    assert reply.error.get("code") == code


async def test_body_that_is_no_form_is_refused(caller: Caller) -> None:
    twice = await caller.post("/v1/refunds", None, {"a%00": "\x00", "metadata[x]": "1"})
    unknown = await caller.post("/v1/nothing", None, {})

    assert twice.status == 400
    assert unknown.status == 404
    assert unknown.error["type"] == "invalid_request_error"


async def test_refunds_in_parts_end_at_what_was_captured(caller: Caller) -> None:
    payment = (await caller.charge(amount="1000")).json["id"]

    part = await caller.refund(payment, amount="600")
    above = await caller.refund(payment, amount="401")
    rest = await caller.refund(payment)
    nothing_left = await caller.refund(payment)

    assert (part.status, part.json["amount"], part.json["status"]) == (200, 600, "succeeded")
    assert (above.status, above.error["param"]) == (400, "amount")
    assert rest.json["amount"] == 400
    assert nothing_left.error["code"] == "charge_already_refunded"


async def test_concurrent_refunds_never_exceed_the_capture(caller: Caller) -> None:
    payment = (await caller.charge(amount="1000")).json["id"]

    replies = await asyncio.gather(*(caller.refund(payment, amount="300") for _ in range(20)))

    assert sorted(reply.status for reply in replies) == [200] * 3 + [400] * 17


async def test_refused_refund_is_kept_under_its_key(caller: Caller) -> None:
    payment = (await caller.charge(payment_method="pm_card_chargeDeclined")).error["payment_intent"]
    key = str(uuid4())

    first = await caller.refund(payment["id"], key)
    again = await caller.refund(payment["id"], key)

    assert first.status == 400
    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_payment_is_found_by_id_and_by_metadata(caller: Caller) -> None:
    attempt = str(uuid4())
    payment = (await caller.charge(attempt_id=attempt)).json

    by_id = await caller.get(f"/v1/payment_intents/{payment['id']}")
    found = await search(caller, "attempt_id", attempt)
    nobody = await search(caller, "attempt_id", str(uuid4()))
    missing = await caller.get("/v1/payment_intents/pi_nobody")

    assert by_id.json == payment
    assert (found["object"], found["data"]) == ("search_result", [payment])
    assert nobody["data"] == []
    assert (missing.status, missing.error["code"]) == (404, "resource_missing")


async def test_search_for_anything_else_is_refused(caller: Caller) -> None:
    reply = await caller.get("/v1/payment_intents/search", query="status:'succeeded'")

    assert reply.status == 400


async def test_list_pages_newest_first_without_gaps(caller: Caller) -> None:
    made = [(await caller.charge()).json["id"] for _ in range(5)]

    first = (await caller.get("/v1/payment_intents", limit="2")).json
    after = first["data"][-1]["id"]
    second = (await caller.get("/v1/payment_intents", limit="3", starting_after=after)).json

    assert first["has_more"]
    assert [each["id"] for each in first["data"] + second["data"]] == made[::-1]


async def test_list_is_bounded_by_time(caller: Caller) -> None:
    payment = (await caller.charge()).json
    now = payment["created"]

    earlier = (await caller.get("/v1/payment_intents", **{"created[gt]": str(now + 60)})).json
    until = (await caller.get("/v1/payment_intents", **{"created[lte]": str(now)})).json

    assert earlier["data"] == []
    assert payment["id"] in {each["id"] for each in until["data"]}


async def test_refunds_are_listed_by_payment(caller: Caller) -> None:
    payment = (await caller.charge(amount="100")).json["id"]
    made = [(await caller.refund(payment, amount="30")).json for _ in range(2)]

    listed = (await caller.get("/v1/refunds", payment_intent=payment)).json

    assert listed["data"] == made[::-1]


async def test_wrong_limit_is_refused(caller: Caller) -> None:
    for limit in ("0", "101", "many"):
        assert (await caller.get("/v1/payment_intents", limit=limit)).status == 400


@pytest.mark.parametrize("fault", ["pm_sandbox_error_500", "pm_sandbox_rate_limited"])
async def test_spared_charge_executes_the_second_time(caller: Caller, fault: str) -> None:
    key = str(uuid4())

    first = await caller.charge(key, payment_method=fault, order_id=key)
    between = await search(caller, "order_id", key)
    second = await caller.charge(key, payment_method=fault, order_id=key)

    assert first.status in {500, 429}
    assert between["data"] == []
    assert second.status == 200


async def test_authentication_is_required_in_either_form(caller: Caller) -> None:
    card = {"payment_method": "pm_card_authenticationRequired"}

    waiting = await caller.charge(**card)
    refused = await caller.charge(**card, error_on_requires_action="true")

    assert (waiting.status, waiting.json["status"]) == (200, "requires_action")
    assert waiting.json["amount_received"] == 0
    assert (refused.status, refused.error["code"]) == (402, "authentication_required")


async def test_no_answer_leaves_before_its_fsync(tmp_path: Path) -> None:
    executor = HeldExecutor(1)
    asyncio.get_running_loop().set_default_executor(executor)
    gateway = Gateway(tmp_path)
    async with TestServer(gateway.application()) as server, aiohttp.ClientSession() as session:
        caller = Caller(session, str(server.make_url("")))
        charging = asyncio.create_task(caller.charge(order_id="o-1"))
        await asyncio.wait_for(executor.asked.wait(), 5)
        looking = asyncio.create_task(search(caller, "order_id", "o-1"))

        early, _ = await asyncio.wait({charging, looking}, timeout=0.3)
        executor.released.set()

        assert not early
        assert (await charging).status == 200
        assert len((await looking)["data"]) == 1
    gateway.journal.close()


class HeldExecutor(ThreadPoolExecutor):
    """The pool that runs the fsyncs, none of which begins before it is released."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.asked = asyncio.Event()
        self.released = threading.Event()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.asked.set()

        def held() -> Any:
            assert self.released.wait(10)
            return fn(*args, **kwargs)

        return super().submit(held)


async def search(caller: Caller, name: str, value: str) -> dict[str, list[object]]:
    reply = await caller.get("/v1/payment_intents/search", query=f"metadata['{name}']:'{value}'")
    assert reply.status == 200
    return reply.json
