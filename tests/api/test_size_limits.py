"""Requests that are too much: heads, addresses, bodies; and a body that is large but allowed."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from api.application import BODY_BYTES_MAX
from api.connection import HEAD_BYTES_MAX
from db.engine import Database
from tests.api.sockets import HEAD, READ, STOCK, answer_to, chunk, connected, length, status, web

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEARLY = HEAD_BYTES_MAX - 500
LARGE = b'{"on_hand": 5' + b" " * (BODY_BYTES_MAX - 14) + b"}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(
    database_url: str,
    redis_url: str,
    shop_database: Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[int]:
    del shop_database
    log = tmp_path_factory.mktemp("sizes") / "log"
    async with web(database_url, redis_url, log) as process:
        yield process.port


TOO_LARGE = {
    "a header": b"X: " + b"x" * HEAD_BYTES_MAX + b"\r\n",
    "a huge header": b"X: " + b"x" * 3_000_000 + b"\r\n",
    "many headers": b"X: x\r\n" * (HEAD_BYTES_MAX // 2),
    "a header without end": b"X: " + b"x" * 3_000_000,
    "a name without end": b"x" * 3_000_000,
}


@pytest.mark.parametrize("name", TOO_LARGE)
async def test_too_large_a_head_is_a_431(port: int, name: str) -> None:
    answer = await answer_to(port, READ + TOO_LARGE[name] + b"\r\n")

    assert status(answer) == 431
    assert b"content-type: application/problem+json\r\n" in answer
    assert b'"code":"head_too_large"' in answer
    assert b"content-security-policy: default-src 'none'" in answer


async def test_a_head_without_end_that_comes_at_once_is_not_waited_for(port: int) -> None:
    answer = await answer_to(port, READ + b"X: x\r\n" * (HEAD_BYTES_MAX // 5))

    assert status(answer) == 431


async def test_a_head_in_pieces_is_measured_as_a_whole(port: int) -> None:
    async with connected(port, READ) as (reader, writer):
        for _ in range(2 * HEAD_BYTES_MAX // 1000):
            writer.write(b"X: " + b"x" * 995 + b"\r\n")
            await writer.drain()
        answer = await reader.read()

    assert status(answer) == 431


@pytest.mark.parametrize("bytes_", [HEAD_BYTES_MAX + 1, 200_000])
@pytest.mark.parametrize("what", [b"path", b"query"])
async def test_too_long_an_address_is_a_414(port: int, what: bytes, bytes_: int) -> None:
    separator = b"?" if what == b"query" else b"/"
    line = b"GET /v1/variants" + separator + b"A" * bytes_ + b" HTTP/1.1\r\n"

    answer = await answer_to(port, line + HEAD + b"\r\n")

    assert status(answer) in {414, 431}
    assert b"content-type: application/problem+json\r\n" in answer


async def test_a_large_head_that_is_allowed_is_read(port: int) -> None:
    answer = await answer_to(port, READ + b"X: " + b"x" * NEARLY + b"\r\n\r\n")

    assert status(answer) == 200


async def test_a_large_body_does_not_count_as_head(port: int) -> None:
    whole = await answer_to(port, STOCK + length(LARGE) + b"\r\n\r\n" + LARGE)
    chunks = b"".join(chunk(LARGE[at : at + 50_000]) for at in range(0, len(LARGE), 50_000))
    in_chunks = await answer_to(
        port, STOCK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + chunk(b"")
    )

    assert len(LARGE) == BODY_BYTES_MAX
    assert [status(whole), status(in_chunks)] == [200, 200]


async def test_many_requests_at_once_on_a_connection_are_no_large_head(port: int) -> None:
    one = READ.replace(b"close", b"keep-alive") + b"X: " + b"x" * 3000 + b"\r\n\r\n"

    answer = await answer_to(port, one * 40 + READ + b"\r\n")

    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 41


@pytest.mark.parametrize("extra", [1, 1_000_000])
async def test_one_byte_more_than_allowed_is_a_413(port: int, extra: int) -> None:
    body = LARGE + b" " * extra
    chunks = b"".join(chunk(body[at : at + 50_000]) for at in range(0, len(body), 50_000))

    announced = await answer_to(port, STOCK + length(body) + b"\r\n\r\n" + body)
    in_chunks = await answer_to(
        port, STOCK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + chunk(b"")
    )

    assert [status(announced), status(in_chunks)] == [413, 413]


async def test_an_answer_that_is_under_way_is_not_lost_to_what_follows(port: int) -> None:
    answer = await answer_to(port, READ.replace(b"close", b"keep-alive") + b"\r\n" + b"\0nonsense")

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
