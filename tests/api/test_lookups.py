import httpx

from db.engine import Database
from ops.config import Settings
from tests.api.paid import Pay, lost, money
from tests.bank import Bank
from tests.stages import drain_payments
from tests.web import assert_problem


async def test_open_payment_is_looked_up_now_and_never_charged_twice(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank
) -> None:
    location = await lost(client, database, settings, bank)
    await drain_payments(database, settings, bank)
    waited = list(bank.asked)

    answers = [await client.post(f"{location}/lookup") for _ in range(2)]
    await drain_payments(database, settings, bank)

    assert [(a.status_code, a.json()["state"]) for a in answers] == [(200, "unknown")] * 2
    assert [verb for verb, _ in bank.asked[len(waited) :]] == ["find", "charge"]
    assert len({attempt_id for _, attempt_id in bank.asked}) == 1
    assert (await money(client, location))[1] == 1000


async def test_what_is_settled_is_not_looked_up(client: httpx.AsyncClient, pay: Pay) -> None:
    location = await pay()

    assert_problem(await client.post(f"{location}/lookup"), 409, "illegal_move")
