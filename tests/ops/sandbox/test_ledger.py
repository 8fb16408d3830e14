import asyncio
import signal
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from ops.sandbox import ledger
from ops.sandbox.ledger import Settlement
from tests.ops.sandbox.caller import Caller
from tests.outside import Sandbox, Start


async def test_ledger_says_what_became_of_each_order(caller: Caller, outside: Sandbox) -> None:
    paid, refunded, declined = (str(uuid4()) for _ in range(3))
    await caller.charge(order_id=paid, attempt_id="a-1")
    await caller.charge(order_id=paid, attempt_id="a-2", currency="eur", amount="1")
    payment = (await caller.charge(order_id=refunded, attempt_id="a-3", amount="500")).json["id"]
    await caller.refund(payment, amount="200", order_id="somebody else's")
    await caller.charge(order_id=declined, payment_method="pm_card_chargeDeclined")

    found = ledger.settlements(outside.folder)

    assert found[paid] == Settlement(
        authorized=2000,
        captured=2000,
        fees=30 + 20 + 0 + 20,
        captures=2,
        currencies={"gbp", "eur"},
        attempts=["a-1", "a-2"],
    )
    assert found[refunded] == Settlement(
        authorized=500,
        captured=500,
        refunded=200,
        fees=28,
        captures=1,
        currencies={"gbp"},
        attempts=["a-3"],
    )
    assert declined not in found


async def test_everything_answered_outlives_a_kill_and_keys_still_replay(
    start: Start, tmp_path: Path
) -> None:
    key, order = str(uuid4()), str(uuid4())
    first = start(tmp_path)
    async with aiohttp.ClientSession() as session:
        caller = Caller(session, first.gateway_url)
        paid = await caller.charge(key, order_id=order)
        part = await caller.refund(paid.json["id"], "refund-key", amount="999")
        declined = await caller.charge("no", payment_method="pm_card_chargeDeclined")
    first.stop(signal.SIGKILL)

    second = start(tmp_path)
    async with aiohttp.ClientSession() as session:
        caller = Caller(session, second.gateway_url)
        paid_again = await caller.charge(key, order_id=order)
        part_again = await caller.refund(paid.json["id"], "refund-key", amount="999")
        declined_again = await caller.charge("no", payment_method="pm_card_chargeDeclined")
        above = await caller.refund(paid.json["id"], amount="1001")
    assert second.stop() == 0

    assert paid_again.headers["Idempotent-Replayed"] == "true"
    assert (paid_again.body, part_again.body) == (paid.body, part.body)
    assert declined_again.body == declined.body
    assert above.status == 400
    settlement = ledger.settlements(tmp_path)[order]
    assert (settlement.captured, settlement.refunded, settlement.captures) == (1999, 999, 1)


async def test_no_answer_is_ahead_of_the_ledger_when_the_process_is_killed(
    start: Start, tmp_path: Path
) -> None:
    sandbox = start(tmp_path)
    answered: list[str] = []

    async def charge_on(session: aiohttp.ClientSession) -> None:
        caller = Caller(session, sandbox.gateway_url)
        while True:
            order = str(uuid4())
            await caller.charge(order_id=order)
            answered.append(order)
            if len(answered) == 200:
                sandbox.stop(signal.SIGKILL)

    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await asyncio.gather(*(charge_on(session) for _ in range(16)))

    written = ledger.settlements(tmp_path)
    assert len(answered) >= 200
    assert set(answered) <= set(written)


def test_half_a_line_is_cut_off_at_start_and_not_read_before(start: Start, tmp_path: Path) -> None:
    path = tmp_path / ledger.FILE
    whole = b'{"op":"payment_intent","id":"pi_1","at":1,"amount":5,"currency":"gbp",'
    whole += b'"payment_method":"pm_card_visa","metadata":{"order_id":"o"}}\n'
    path.write_bytes(whole + b'{"op":"payment_intent","id":"pi_2","at')

    assert ledger.settlements(tmp_path)["o"].captures == 1
    assert start(tmp_path).stop() == 0
    assert path.read_bytes() == whole


def test_damaged_ledger_is_named_and_not_served(start: Start, tmp_path: Path) -> None:
    (tmp_path / ledger.FILE).write_bytes(b"not json\n")

    with pytest.raises(AssertionError, match=r"ended with 1: .*ledger.jsonl, line 1"):
        start(tmp_path)


def test_folder_without_a_ledger_has_no_settlements(tmp_path: Path) -> None:
    assert ledger.settlements(tmp_path) == {}
