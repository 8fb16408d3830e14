"""One Idempotency-Key is one order, whatever the order and the web process go through."""

import asyncio
from functools import partial
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from db.engine import Database, transaction
from tests.bank import Bank
from tests.builders import an_order_body, put_products
from tests.records import assert_sound, at_rest, be_patient, status, statuses, waits_for_a_lock
from tests.scenarios.processes import Surroundings, running
from tests.scenarios.web import clients, until_up
from tests.waiting import eventually
from tests.web import assert_problem, post_order

WEB = "orderflow web"


async def test_key_gives_the_first_answer_however_far_the_order_went_and_conflicts_are_told(
    database: Database, surroundings: Surroundings, bank: Bank
) -> None:
    await put_products(database, APPLE=10)
    async with running(surroundings, "web", "worker", "clock"), clients(surroundings) as client:
        await until_up(client)
        async with transaction(database) as tx:
            await be_patient(tx)
            await tx.execute(text("LOCK TABLE idempotency_keys IN EXCLUSIVE MODE"))
            first = asyncio.create_task(post_order(client, ("APPLE", 1), key="k1"))
            await eventually(partial(waits_for_a_lock, database, WEB))
            too_soon = await post_order(client, ("APPLE", 1), key="k1")
        accepted = await first
        await eventually(partial(at_rest, database))
        again = await post_order(client, ("APPLE", 1), key="k1")
        other = await post_order(client, ("APPLE", 2), key="k1")
        missing = await client.post("/v1/orders", json=an_order_body(("APPLE", 1)))

    assert (accepted.status_code, again.status_code) == (202, 202)
    assert again.content == accepted.content
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in accepted.headers
    assert_problem(too_soon, 409, "idempotency_in_progress", "Idempotency-Key")
    assert_problem(other, 422, "idempotency_key_reused", "Idempotency-Key")
    assert_problem(missing, 400, "idempotency_key_missing", "Idempotency-Key")
    assert await status(database, UUID(accepted.json()["id"])) == "paid"
    assert await statuses(database) == {"paid": 1}
    assert bank.verbs() == ["charge"]


async def test_customer_who_repeats_what_a_killed_web_process_left_unanswered_gets_one_order(
    database: Database, surroundings: Surroundings, bank: Bank
) -> None:
    await put_products(database, APPLE=10)
    async with (
        running(surroundings, "web", "worker", "clock") as fleet,
        clients(surroundings) as client,
    ):
        await until_up(client)
        async with transaction(database) as tx:
            await be_patient(tx)
            await tx.execute(text("LOCK TABLE idempotency_keys IN EXCLUSIVE MODE"))
            unanswered = asyncio.create_task(post_order(client, ("APPLE", 1), key="k1"))
            await eventually(partial(waits_for_a_lock, database, WEB))
            await fleet.kill("web")
            with pytest.raises(httpx.TransportError):
                await unanswered
        await until_up(client)
        repeated = [await post_order(client, ("APPLE", 1), key="k1") for _ in range(2)]
        await eventually(partial(at_rest, database))

    assert [answer.status_code for answer in repeated] == [202, 202]
    assert repeated[0].content == repeated[1].content
    assert await statuses(database) == {"paid": 1}
    assert bank.verbs() == ["charge"]
    await assert_sound(database)
