import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from ops.sandbox.ledger import settlements
from tests.ops.sandbox.caller import Caller, Reply
from tests.outside import Sandbox, Start
from tests.waiting import eventually

BROKEN = (aiohttp.ClientConnectionError, ConnectionResetError)


@pytest.fixture
async def troubled(caller: Caller) -> AsyncGenerator[Caller]:
    """The shared sandbox, on whose board nothing is left behind."""
    yield caller
    await caller.clear_faults()


async def test_board_needs_no_key_and_shows_what_is_in_force(
    troubled: Caller, outside: Sandbox
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{outside.gateway_url}/faults", json={"fault": "error-500", "count": 2}
        ) as posted,
    ):
        assert posted.status == 200

    await troubled.charge()
    shown = (await troubled.get("/faults")).json["faults"]
    await troubled.clear_faults()

    assert [(each["posted"]["fault"], each["struck"]) for each in shown] == [("error-500", 1)]
    assert (await troubled.charge()).status == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"fault": "unheard-of"},
        {"fault": "down", "count": 0},
        {"fault": "down", "operation": "dance"},
        {"fault": "down", "colour": "red"},
        {"fault": "down", "probability": 2},
    ],
)
async def test_wrong_fault_is_refused(troubled: Caller, wrong: dict[str, Any]) -> None:
    assert (await troubled.fault(**wrong)).status == 400
    assert (await troubled.charge()).status == 200


@pytest.mark.parametrize("operation", ["charge", "capture", "void", "refund", "get", "search"])
async def test_fault_strikes_its_operation_only_and_as_often_as_told(
    troubled: Caller, operation: str
) -> None:
    await troubled.fault(fault="rate-limited", operation=operation, count=1)

    first, second = [await one_of_each(troubled) for _ in range(2)]

    assert {name for name, reply in first.items() if reply.status == 429} == {operation}
    assert all(reply.status != 429 for reply in second.values())


@pytest.mark.parametrize(
    ("fault", "moved"),
    [
        ("error-500", False),
        ("charged-then-500", True),
        ("charged-then-truncated", True),
        ("charged-then-wrong-amount", True),
        ("charged-then-wrong-attempt", True),
    ],
)
async def test_capture_that_is_answered_wrongly_moved_money_or_not(
    troubled: Caller, fault: str, *, moved: bool
) -> None:
    held = (await troubled.charge(capture_method="manual", attempt_id="a-1")).json["id"]
    await troubled.fault(fault=fault, operation="capture", count=1)
    path, key = f"/v1/payment_intents/{held}/capture", str(uuid4())

    wrong = await troubled.post(path, key, {})
    stands = (await troubled.get(f"/v1/payment_intents/{held}")).json
    true = await troubled.post(path, key, {})

    assert stands["amount_received"] == (1999 if moved else 0)
    assert wrong.body != true.body
    assert (true.status, true.json["amount_received"]) == (200, 1999)
    assert ("Idempotent-Replayed" in true.headers) == moved


async def test_misstated_payment_is_told_wrong_whoever_asks(troubled: Caller) -> None:
    order = str(uuid4())
    paid = (await troubled.charge(payment_method="pm_sandbox_misstated", order_id=order)).json

    asked = (await troubled.get(f"/v1/payment_intents/{paid['id']}")).json
    query = f"metadata['order_id']:'{order}'"
    (found,) = (await troubled.get("/v1/payment_intents/search", query=query)).json["data"]

    assert [each["amount"] for each in (paid, asked, found)] == [2000] * 3
    assert asked["amount_received"] == 1999


async def test_refund_is_made_though_the_connection_is_reset(troubled: Caller) -> None:
    paid = (await troubled.charge()).json["id"]
    await troubled.fault(fault="charged-then-reset", operation="refund", count=1)
    key = str(uuid4())

    with pytest.raises(BROKEN):
        await troubled.refund(paid, key)

    assert (await troubled.refund(paid, key)).headers["Idempotent-Replayed"] == "true"
    assert len((await troubled.get("/v1/refunds", payment_intent=paid)).json["data"]) == 1


async def test_broken_execution_is_kept_under_its_key(troubled: Caller) -> None:
    key, order = str(uuid4()), str(uuid4())
    await troubled.fault(fault="kept-500", operation="charge", count=1)

    first = await troubled.charge(key, order_id=order)
    again = await troubled.charge(key, order_id=order)
    other = await troubled.charge(order_id=order)

    assert (first.status, again.status, other.status) == (500, 500, 200)
    assert first.error["type"] == "api_error"
    assert (again.body, again.headers["Idempotent-Replayed"]) == (first.body, "true")


async def test_gateway_that_is_down_answers_nothing_and_comes_back(troubled: Caller) -> None:
    await troubled.fault(fault="down", seconds=0.5)

    with pytest.raises(BROKEN):
        await troubled.charge()
    with pytest.raises(BROKEN):
        await troubled.get("/v1/events")

    async def is_back() -> bool:
        return await answers(troubled)

    await eventually(is_back)


async def test_flapping_is_the_same_for_the_same_seed(troubled: Caller) -> None:
    async def pattern(seed: int) -> list[bool]:
        await troubled.fault(fault="flapping", seed=seed)
        answered = [await answers(troubled) for _ in range(24)]
        await troubled.clear_faults()
        return answered

    first, again, other = [await pattern(seed) for seed in (1, 1, 2)]

    assert first == again != other
    assert 4 <= sum(first) <= 20


@pytest.mark.parametrize("fault", ["delay", "slow"])
async def test_late_answer_is_the_true_one(troubled: Caller, fault: str) -> None:
    await troubled.fault(fault=fault, delay_s=0.4, count=1)

    began = time.monotonic()
    reply = await troubled.charge()

    assert time.monotonic() - began >= 0.4
    assert reply.json["status"] == "succeeded"


async def test_delayed_request_executes_though_the_caller_has_gone(
    troubled: Caller, outside: Sandbox
) -> None:
    order = str(uuid4())
    await troubled.fault(fault="delay", delay_s=0.5, count=1, operation="charge")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(troubled.charge(order_id=order), 0.1)

    async def is_charged() -> bool:
        return order in settlements(outside.folder)

    await eventually(is_charged)


@pytest.mark.parametrize("by", ["token", "board"])
async def test_payment_is_not_found_yet_but_known_by_its_id(troubled: Caller, by: str) -> None:
    order = str(uuid4())
    card = "pm_sandbox_not_found_yet_1" if by == "token" else "pm_card_visa"
    if by == "board":
        await troubled.fault(fault="not-found-yet", delay_s=1)

    paid = (await troubled.charge(order_id=order, payment_method=card)).json["id"]

    assert (await troubled.get(f"/v1/payment_intents/{paid}")).status == 200
    assert paid not in await listed(troubled)
    assert await searched(troubled, order) == []

    async def is_found() -> bool:
        return await searched(troubled, order) == [paid]

    await eventually(is_found)
    assert paid in await listed(troubled)


async def test_board_is_forgotten_at_a_restart(start: Start, tmp_path: Path) -> None:
    first = await asyncio.to_thread(start, tmp_path)
    async with aiohttp.ClientSession() as session:
        await Caller(session, first.gateway_url).fault(fault="down")
    first.stop()

    second = await asyncio.to_thread(start, tmp_path)
    async with aiohttp.ClientSession() as session:
        assert (await Caller(session, second.gateway_url).charge()).status == 200


async def one_of_each(caller: Caller) -> dict[str, Reply]:
    """Do each operation once, on payments that are made before."""
    path = "/v1/payment_intents"
    replies = {"charge": await caller.charge()}
    held = [(await caller.charge(capture_method="manual")).json["id"] for _ in range(2)]
    paid = (await caller.charge()).json["id"]
    return replies | {
        "capture": await caller.post(f"{path}/{held[0]}/capture", None, {}),
        "void": await caller.post(f"{path}/{held[1]}/cancel", None, {}),
        "refund": await caller.refund(paid),
        "get": await caller.get(f"{path}/{paid}"),
        "search": await caller.get(path),
    }


async def answers(caller: Caller) -> bool:
    try:
        return (await caller.get("/v1/payment_intents", limit="1")).status == 200
    except BROKEN:
        return False


async def listed(caller: Caller) -> list[str]:
    found = (await caller.get("/v1/payment_intents", limit="100")).json["data"]
    return [each["id"] for each in found]


async def searched(caller: Caller, order: str) -> list[str]:
    query = f"metadata['order_id']:'{order}'"
    found = await caller.get("/v1/payment_intents/search", query=query)
    return [each["id"] for each in found.json["data"]]
