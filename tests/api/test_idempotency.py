import asyncio
import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import httpx
import pytest

from api.application import build
from api.idempotency import IdempotencyInProgress, InFlight, fingerprint
from db.engine import Database
from ops.config import Settings
from tests.builders import an_order_body, put_products
from tests.postgres import locked, until, waiting_for_locks
from tests.stages import run_stages
from tests.web import assert_problem, post_order, rows, served

JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
async def catalogue(database: Database) -> None:
    await put_products(database, APPLE=100, PEAR=100)


async def post(client: httpx.AsyncClient, content: bytes, key: str) -> httpx.Response:
    headers = JSON | {"Idempotency-Key": key}
    return await client.post("/v1/orders", content=content, headers=headers)


def assert_replay(answer: httpx.Response, first: httpx.Response) -> None:
    assert answer.status_code == first.status_code == 202
    assert answer.content == first.content
    assert answer.headers["location"] == first.headers["location"]
    assert answer.headers["content-type"] == first.headers["content-type"]
    assert answer.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers


async def test_an_order_without_a_key_is_refused(
    client: httpx.AsyncClient, database: Database
) -> None:
    before = await rows(database)

    answer = await client.post("/v1/orders", json=an_order_body(("APPLE", 1)))

    assert_problem(answer, 400, "idempotency_key_missing", "Idempotency-Key")
    assert answer.json()["detail"].count("Idempotency-Key") == 1
    assert await rows(database) == before


@pytest.mark.parametrize(
    "keys",
    [[b""], [b" "], [b"a b"], [b"a" * 256], [b"\xc3\xa4"], [b"a\tb"], [b"a\x7f"], [b"a", b"b"]],
)
async def test_a_key_that_is_no_single_word_of_ascii_is_refused(
    client: httpx.AsyncClient, database: Database, keys: Sequence[bytes]
) -> None:
    before = await rows(database)

    answer = await client.post(
        "/v1/orders",
        json=an_order_body(("APPLE", 1)),
        headers=[(b"Idempotency-Key", key) for key in keys],
    )

    assert_problem(answer, 400, "idempotency_key_invalid", "Idempotency-Key")
    assert answer.json()["detail"].count("Idempotency-Key") == 1
    assert await rows(database) == before


async def test_a_card_number_as_a_key_is_refused_and_kept_nowhere(
    client: httpx.AsyncClient, database: Database
) -> None:
    before = await rows(database)

    answer = await post_order(client, ("APPLE", 1), key="4242-4242-4242-4242")

    assert_problem(answer, 400, "card_number_refused", "Idempotency-Key")
    assert "4242" not in answer.text
    assert await rows(database) == before


@pytest.mark.parametrize("key", ["a", "a" * 255, '"quoted"', "!~/\\%00'--"])
async def test_any_single_word_of_ascii_is_a_key(client: httpx.AsyncClient, key: str) -> None:
    first = await post_order(client, ("APPLE", 1), key=key)
    again = await post_order(client, ("APPLE", 1), key=key)

    assert_replay(again, first)


async def test_a_replay_is_byte_for_byte_the_first_answer_and_writes_nothing(
    client: httpx.AsyncClient, database: Database
) -> None:
    first = await post_order(client, ("APPLE", 2), ("PEAR", 1), key="k")
    before = await rows(database)

    again = await post_order(client, ("APPLE", 2), ("PEAR", 1), key="k")

    assert_replay(again, first)
    assert await rows(database) == before


async def test_the_answer_stays_the_same_when_the_order_has_moved_on_and_the_catalogue_too(
    client: httpx.AsyncClient, database: Database, settings: Settings, staff: dict[str, str]
) -> None:
    first = await post_order(client, ("APPLE", 2), key="k")
    await run_stages(database, settings)
    changed = {"name": "Apple", "price_minor": 999, "currency": "EUR", "active": False}
    assert (await client.put("/v1/variants/APPLE", json=changed, headers=staff)).status_code == 200

    again = await post_order(client, ("APPLE", 2), key="k")

    assert_replay(again, first)
    assert again.json()["status"] == "placed"
    assert (await client.get(again.headers["location"])).json()["status"] == "paid"


async def test_another_process_gives_the_same_answer(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    first = await post_order(client, ("APPLE", 2), key="k")

    async with served(build(settings)) as other:
        again = await post_order(other, ("APPLE", 2), key="k")

    assert_replay(again, first)


async def test_what_counts_is_what_is_asked_for_and_not_how_its_json_is_written(
    client: httpx.AsyncClient, database: Database
) -> None:
    body = an_order_body(("APPLE", 2))
    first = await post(client, json.dumps(body).encode(), "k")

    turned = dict(reversed(list(body.items())))
    rewritten = [
        json.dumps(turned).encode(),
        json.dumps(body, indent=3).encode() + b"\n",
        json.dumps(body).replace("APPLE", "\\u0041PPLE").encode(),
        json.dumps(body | {"ship_to": body["ship_to"] | {"line2": None}}).encode(),
    ]

    for content in rewritten:
        assert_replay(await post(client, content, "k"), first)
    assert (await rows(database))["orders"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"email": "bob@example.com"},
        {"currency": "EUR"},
        {"lines": [{"sku": "APPLE", "quantity": 3}]},
        {"lines": [{"sku": "PEAR", "quantity": 2}]},
        {"lines": [{"sku": "NOTHING", "quantity": 2}]},
        {"payment_method": "pm_card_mastercard"},
        {"ship_to": an_order_body()["ship_to"] | {"line2": "Flat 2"}},
    ],
)
async def test_the_key_of_another_request_is_refused(
    client: httpx.AsyncClient, database: Database, change: dict[str, Any]
) -> None:
    first = await post_order(client, ("APPLE", 2), key="k")
    before = await rows(database)

    other = await post_order(client, ("APPLE", 2), key="k", **change)

    assert_problem(other, 422, "idempotency_key_reused", "Idempotency-Key")
    assert first.json()["id"] not in other.text
    assert await rows(database) == before
    assert_replay(await post_order(client, ("APPLE", 2), key="k"), first)


async def test_while_the_first_request_is_under_way_its_repeat_is_told_to_wait(
    client: httpx.AsyncClient, database: Database
) -> None:
    async with locked(database, "idempotency_keys"):
        placing = asyncio.create_task(post_order(client, ("APPLE", 1), key="k"))
        await until(partial(_is_waiting, database))
        early = await post_order(client, ("APPLE", 1), key="k")
    first = await placing

    assert_problem(early, 409, "idempotency_in_progress", "Idempotency-Key")
    assert int(early.headers["retry-after"]) > 0
    assert_replay(await post_order(client, ("APPLE", 1), key="k"), first)


async def _is_waiting(database: Database) -> bool:
    return await waiting_for_locks(database) > 0


async def test_twenty_requests_at_once_with_one_key_are_one_order(
    client: httpx.AsyncClient, database: Database
) -> None:
    answers = await asyncio.gather(*(post_order(client, ("APPLE", 1), key="k") for _ in range(20)))

    assert_one_order(answers)
    assert (await rows(database))["orders"] == 1


async def test_two_processes_at_once_with_one_key_make_one_order_each_time(
    client: httpx.AsyncClient, settings: Settings, database: Database
) -> None:
    async with served(build(settings)) as other:
        answers = await asyncio.gather(
            *(
                post_order(process, ("APPLE", 1), key=f"key-{n}")
                for n in range(20)
                for process in (client, other)
            )
        )

    for pair in zip(answers[::2], answers[1::2], strict=True):
        assert [answer.status_code for answer in pair] == [202, 202]
        assert_one_order(pair)
    written = await rows(database)
    assert (written["orders"], written["tasks"], written["order_events"]) == (20, 20, 20)


def assert_one_order(answers: Sequence[httpx.Response]) -> None:
    accepted = [answer for answer in answers if answer.status_code == 202]
    for answer in answers:
        if answer not in accepted:
            assert_problem(answer, 409, "idempotency_in_progress", "Idempotency-Key")
    assert len({answer.content for answer in accepted}) == 1
    assert len([a for a in accepted if "idempotent-replayed" not in a.headers]) == 1


async def test_a_key_of_two_different_requests_at_once_goes_to_one_of_them(
    client: httpx.AsyncClient, settings: Settings, database: Database
) -> None:
    async with served(build(settings)) as other:
        answers = await asyncio.gather(
            post_order(client, ("APPLE", 1), key="k"), post_order(other, ("PEAR", 1), key="k")
        )

    won, lost = sorted(answers, key=lambda answer: answer.status_code)
    assert won.status_code == 202
    assert_problem(lost, 422, "idempotency_key_reused", "Idempotency-Key")
    assert (await rows(database))["orders"] == 1


async def test_a_refused_order_may_be_repeated_with_its_key_once_the_reason_is_gone(
    client: httpx.AsyncClient, database: Database
) -> None:
    refused = await post_order(client, ("PLUM", 1), key="k")
    await put_products(database, PLUM=5)

    accepted = await post_order(client, ("PLUM", 1), key="k")

    assert refused.status_code == 422
    assert accepted.status_code == 202
    assert "idempotent-replayed" not in accepted.headers


async def test_a_refused_order_may_be_mended_and_keep_its_key(client: httpx.AsyncClient) -> None:
    invalid = await post_order(client, ("APPLE", 0), key="k")
    refused = await post_order(client, ("PLUM", 1), key="k")
    accepted = await post_order(client, ("APPLE", 1), key="k")

    assert [a.status_code for a in (invalid, refused, accepted)] == [400, 422, 202]
    assert_replay(await post_order(client, ("APPLE", 1), key="k"), accepted)


@pytest.mark.parametrize("failure", [None, RuntimeError, asyncio.CancelledError])
def test_a_key_is_free_again_however_its_request_ends(
    failure: type[BaseException] | None,
) -> None:
    in_flight = InFlight()

    def use() -> None:
        with in_flight.hold("a", "k"):
            with pytest.raises(IdempotencyInProgress), in_flight.hold("a", "k"):
                pass
            with in_flight.hold("b", "k"):
                pass
            if failure:
                raise failure

    if failure:
        with pytest.raises(failure):
            use()
    else:
        use()

    with in_flight.hold("a", "k"):
        pass


def test_a_fingerprint_tells_operations_apart_and_is_of_one_size() -> None:
    assert fingerprint("POST /a", {"x": 1}) == fingerprint("POST /a", {"x": 1})
    assert fingerprint("POST /a", {"x": 1}) != fingerprint("POST /b", {"x": 1})
    assert fingerprint("POST /a", {"x": 1}) != fingerprint("POST /a", {"x": 2})
    assert len(fingerprint("POST /a", "x" * 10_000)) == 32
