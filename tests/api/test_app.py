"""The web process of the Procfile, spoken to byte by byte."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from api.application import BODY_BYTES_MAX
from db.engine import Database, transaction
from db.ids import new_id
from tests.api.sockets import (
    HEAD,
    ORDER,
    READ,
    STOCK,
    answer_to,
    chunk,
    connected,
    length,
    place,
    status,
    web,
)
from tests.postgres import locked, until, waiting_for_locks

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHOLE = chunk(ORDER) + chunk(b"")
TOO_LONG = {
    "announced": place("over", b"Content-Length: %d" % (BODY_BYTES_MAX + 1)),
    "announced as huge": place("over", b"Content-Length: 99999999999999999"),
    "chunked": place("over", b"Transfer-Encoding: chunked")
    + chunk(b" " * 1000) * (BODY_BYTES_MAX // 1000 + 1),
}
LIES = {
    "length, then chunks": place("lie", length(ORDER), b"Transfer-Encoding: chunked") + WHOLE,
    "chunks, then length": place("lie", b"Transfer-Encoding: chunked", length(ORDER)) + WHOLE,
    "chunked twice": place("lie", b"Transfer-Encoding: chunked, chunked") + WHOLE,
    "no coding": place("lie", b"Transfer-Encoding: xchunked") + WHOLE,
    "no chunks": place("lie", b"Transfer-Encoding: gzip") + ORDER,
    "space before the colon": place("lie", b"Transfer-Encoding : chunked") + WHOLE,
    "negative chunk": place("lie", b"Transfer-Encoding: chunked") + b"-1\r\n" + ORDER,
    "endless chunk": place("lie", b"Transfer-Encoding: chunked") + b"f" * 17 + b"\r\n" + ORDER,
    "two lengths": place("lie", length(ORDER), b"Content-Length: 1") + ORDER,
    "signed length": place("lie", b"Content-Length: +%d" % len(ORDER)) + ORDER,
    "negative length": place("lie", b"Content-Length: -1") + ORDER,
    "hexadecimal length": place("lie", b"Content-Length: 0x10") + ORDER,
    "too short a length": place("lie", b"Content-Length: 10") + ORDER,
}
BROKEN = {
    "no hex digits": b"GET /v1/variants/%zz HTTP/1.1\r\n" + HEAD + b"\r\n",
    "a percent at the end": b"GET /v1/variants/A% HTTP/1.1\r\n" + HEAD + b"\r\n",
    "no UTF-8": b"GET /v1/variants/%ff HTTP/1.1\r\n" + HEAD + b"\r\n",
    "NUL": b"GET /v1/variants/A%00 HTTP/1.1\r\n" + HEAD + b"\r\n",
    "no hex digits in the query": b"GET /v1/variants/A?%zz HTTP/1.1\r\n" + HEAD + b"\r\n",
    "raw bytes": b"GET /v1/variants/\xff HTTP/1.1\r\n" + HEAD + b"\r\n",
    "raw UTF-8": b"GET /v1/variants/\xc3\xa4 HTTP/1.1\r\n" + HEAD + b"\r\n",
    "a space in the path": b"GET /v1/variants/A B HTTP/1.1\r\n" + HEAD + b"\r\n",
    "no slash": b"GET v1/products/A HTTP/1.1\r\n" + HEAD + b"\r\n",
    "lower case": b"get /v1/variants/A HTTP/1.1\r\n" + HEAD + b"\r\n",
    "no such version": b"GET /v1/variants/A HTTP/9.9\r\n" + HEAD + b"\r\n",
    "NUL in a header": READ + b"X: a\x00b\r\n\r\n",
    "a folded header": READ + b"X: a\r\n b\r\n\r\n",
    "a space before the colon": READ + b"X : a\r\n\r\n",
    "no colon": READ + b"no colon\r\n\r\n",
    "no host name": READ.replace(b"Host: a", b"Host: a b") + b"\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("web") / "log"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(
    database_url: str, redis_url: str, shop_database: Database, log: Path
) -> AsyncGenerator[int]:
    del shop_database
    async with web(database_url, redis_url, log) as process:
        yield process.port


async def count_of(database: Database, key: str) -> int:
    """Count the orders that a key made."""
    async with transaction(database) as tx:
        found = await tx.exec_driver_sql(
            "SELECT count(*) FROM orders JOIN idempotency_keys ON order_id = id"
            " WHERE key = %(key)s",
            {"key": key},
        )
        return found.scalar_one()


@pytest.fixture
def key() -> str:
    return str(new_id())


async def test_an_order_comes_whole_in_pieces_or_in_chunks(
    port: int, shop_database: Database, key: str
) -> None:
    chunks = chunk(ORDER[:7]) + chunk(ORDER[7:]) + chunk(b"")
    whole = await answer_to(port, place(key, length(ORDER)) + ORDER)
    async with connected(port, place(key, length(ORDER))) as (reader, writer):
        for byte in ORDER:
            writer.write(bytes([byte]))
            await writer.drain()
        in_pieces = await reader.read()
    in_chunks = await answer_to(port, place(key, b"Transfer-Encoding: chunked") + chunks)

    bodies = {answer.partition(b"\r\n\r\n")[2] for answer in (whole, in_pieces, in_chunks)}
    assert status(whole) == 202
    assert len(bodies) == 1
    assert await count_of(shop_database, key) == 1


async def test_two_orders_on_one_connection_are_answered_in_turn(
    port: int, shop_database: Database, key: str
) -> None:
    open_ = place(key, length(ORDER)).replace(b"close", b"keep-alive") + ORDER

    answer = await answer_to(port, open_ + place(f"{key}-2", length(ORDER)) + ORDER)

    assert answer.count(b"HTTP/1.1 202 Accepted\r\n") == 2
    assert await count_of(shop_database, key) == await count_of(shop_database, f"{key}-2") == 1


async def test_http_1_0_is_served(port: int) -> None:
    answer = await answer_to(port, b"GET /v1/variants/APPLE HTTP/1.0\r\n\r\n")

    assert status(answer) == 200
    assert b'"sku":"APPLE"' in answer


@pytest.mark.parametrize("name", TOO_LONG)
async def test_too_long_a_body_is_refused_before_it_has_all_come(port: int, name: str) -> None:
    answer = await answer_to(port, TOO_LONG[name])

    assert status(answer) == 413
    assert b"application/problem+json" in answer
    assert b'"body_too_large"' in answer


@pytest.mark.parametrize("name", LIES)
async def test_an_order_that_lies_about_its_length_is_refused(
    port: int, shop_database: Database, name: str
) -> None:
    answer = await answer_to(port, LIES[name])

    assert status(answer) == 400
    assert await count_of(shop_database, "lie") == 0


async def test_an_order_that_breaks_off_is_not_placed(
    port: int, shop_database: Database, key: str
) -> None:
    longer = b"Content-Length: %d" % (len(ORDER) + 1)

    answers = [
        await answer_to(port, place(key, longer) + ORDER, and_hang_up=True),
        await answer_to(
            port, place(key, b"Transfer-Encoding: chunked") + chunk(ORDER), and_hang_up=True
        ),
    ]

    assert all(not answer or status(answer) >= 400 for answer in answers)
    assert await count_of(shop_database, key) == 0


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_no_request_is_a_400(port: int, name: str) -> None:
    assert status(await answer_to(port, BROKEN[name])) == 400


@pytest.mark.parametrize(
    "headers", [b"X: " + b"x" * 1_000_000 + b"\r\n", b"X: x\r\n" * 20_000], ids=["long", "many"]
)
async def test_no_head_is_so_large_that_it_hurts(port: int, headers: bytes) -> None:
    assert status(await answer_to(port, READ + headers + b"\r\n")) in {431, 200}
    assert status(await answer_to(port, READ + b"\r\n")) == 200


async def test_the_slow_block_nobody_and_hold_no_connection_to_postgres(port: int) -> None:
    half = [
        b"GET /v1/variants/APPLE HT",
        STOCK + b"Content-Length: 100\r\n\r\n{",
        place("slow", length(ORDER)) + ORDER[:10],
        place("slow-chunk", b"Transfer-Encoding: chunked") + b"5\r\n{",
    ]

    async with AsyncExitStack() as waiting:
        for sent in half * 20:
            await waiting.enter_async_context(connected(port, sent))
        answers = await asyncio.gather(*(answer_to(port, READ + b"\r\n") for _ in range(10)))

    assert {status(answer) for answer in answers} == {200}


async def test_an_order_whose_client_hung_up_is_placed_once(
    port: int, shop_database: Database, key: str
) -> None:
    async def is_placed() -> bool:
        return await count_of(shop_database, key) == 1

    async with (
        locked(shop_database, "idempotency_keys"),
        connected(port, place(key, length(ORDER)) + ORDER),
    ):
        await until(partial(_is_waiting, shop_database))

    await until(is_placed)
    assert b"idempotent-replayed: true" in await answer_to(port, place(key, length(ORDER)) + ORDER)
    assert await count_of(shop_database, key) == 1


async def _is_waiting(database: Database) -> bool:
    return await waiting_for_locks(database) > 0


async def test_a_process_that_is_told_to_stop_answers_what_it_has_begun(
    database_url: str, redis_url: str, shop_database: Database, tmp_path: Path, key: str
) -> None:
    async with web(database_url, redis_url, tmp_path / "log") as process:
        async with locked(shop_database, "idempotency_keys"):
            placing = asyncio.create_task(
                answer_to(process.port, place(key, length(ORDER)) + ORDER)
            )
            await until(partial(_is_waiting, shop_database))
            process.running.terminate()
        answer = await placing

    assert status(answer) == 202
    assert await count_of(shop_database, key) == 1


async def test_the_process_logs_json_and_no_failure_of_its_own(port: int, log: Path) -> None:
    assert status(await answer_to(port, READ + b"\r\n")) == 200

    text = await asyncio.to_thread(log.read_text)
    lines = [json.loads(line) for line in text.splitlines()]
    assert {line["process"] for line in lines} == {"web"}
    assert [line for line in lines if line["level"] in {"error", "critical"}] == []
