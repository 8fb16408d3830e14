"""Money moves once per Idempotency-Key."""

import asyncio
from uuid import UUID

import httpx

from api.application import build
from db.engine import Database
from ops.config import Settings
from tests.api.paid import TOTAL, Pay, ask, money
from tests.api.routes import STAFF
from tests.bank import Bank
from tests.records import assert_sound
from tests.stages import settle_payments
from tests.web import assert_problem, rows, served


async def test_the_same_key_and_request_are_answered_alike_and_done_once(
    client: httpx.AsyncClient, settings: Settings, database: Database, bank: Bank, pay: Pay
) -> None:
    location = await pay()
    body = {"reason": "duplicate", "amount_minor": TOTAL}
    first = await ask(client, f"{location}/refunds", body, key="k")
    await settle_payments(database, settings, bank)
    before = await rows(database)

    async with served(build(settings)) as other:
        again = await ask(other, f"{location.upper().replace('/V1/ORDERS', '/v1/orders')}/refunds",
                          body, key="k")  # fmt: skip

    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert await rows(database) == before
    assert bank.takings(UUID(location.rpartition("/")[2])) == [TOTAL, -TOTAL]


async def test_the_key_of_another_operation_is_refused(client: httpx.AsyncClient, pay: Pay) -> None:
    location, other = await pay(), await pay()
    body = {"reason": "duplicate", "amount_minor": 10}
    await ask(client, f"{location}/refunds", body, key="k")

    for path, changed in (
        (f"{location}/refunds", body | {"amount_minor": 11}),
        (f"{other}/refunds", body),
        (f"{location}/capture", {"amount_minor": 10}),
    ):
        answer = await ask(client, path, changed, key="k")
        assert_problem(answer, 422, "idempotency_key_reused", "Idempotency-Key")
    assert await money(client, location) == (TOTAL, TOTAL, 0, 0, TOTAL - 10)


async def test_a_key_is_needed(client: httpx.AsyncClient, pay: Pay) -> None:
    location = await pay()

    answer = await client.post(f"{location}/void", json={}, headers=STAFF)

    assert_problem(answer, 400, "idempotency_key_missing", "Idempotency-Key")


async def test_a_refused_request_leaves_its_key_free(client: httpx.AsyncClient, pay: Pay) -> None:
    location = await pay()
    body = {"reason": "duplicate", "amount_minor": TOTAL + 1}
    assert (await ask(client, f"{location}/refunds", body, key="k")).status_code == 422

    mended = await ask(client, f"{location}/refunds", body | {"amount_minor": 1}, key="k")

    assert mended.status_code == 202
    assert "idempotent-replayed" not in mended.headers


async def test_two_processes_at_once_never_give_back_more_than_was_taken(
    client: httpx.AsyncClient, settings: Settings, database: Database, bank: Bank, pay: Pay
) -> None:
    location = await pay()
    body = {"reason": "duplicate", "amount_minor": 400}

    async with served(build(settings)) as other:
        answers = await asyncio.gather(
            *(ask(process, f"{location}/refunds", body, key=f"key-{n}")
              for n in range(4) for process in (client, other))
        )  # fmt: skip
    await settle_payments(database, settings, bank)

    accepted = [a for a in answers if a.status_code == 202]
    assert len({a.content for a in accepted}) == 2
    assert {a.json()["code"] for a in answers if a not in accepted} == {"amount_not_available"}
    assert bank.takings(UUID(location.rpartition("/")[2])) == [TOTAL, -400, -400]
    await assert_sound(database)
