"""Bytes that are nearly requests: the running process answers in order, or hangs up."""

import asyncio
import json
import os
import random
import re
import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from api.codes import KINDS
from db.engine import Database
from tests.api.sockets import (
    HEAD,
    ORDER,
    READ,
    STOCK,
    Process,
    answer_to,
    chunk,
    length,
    place,
    status,
    web,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

# `make fuzz` gives minutes, and another seed each time if asked to.
SECONDS = int(os.environ.get("FUZZ_SECONDS", "10"))
SEED = int(os.environ.get("FUZZ_SEED") or 1)
BESIDES_S = 60
CONNECTIONS = 16
PATIENCE_S = 0.2

LEVEL = b'{"on_hand": 5}'
SEEDS = (
    READ + b"\r\n",
    READ.replace(b"close", b"keep-alive") + b"\r\n" + READ + b"\r\n",
    STOCK + length(LEVEL) + b"\r\n\r\n" + LEVEL,
    STOCK
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + chunk(LEVEL[:5])
    + chunk(LEVEL[5:])
    + chunk(b""),
    STOCK + b"Expect: 100-continue\r\n" + length(LEVEL) + b"\r\n\r\n" + LEVEL,
    place("fuzz", length(ORDER)) + ORDER,
    b"OPTIONS * HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"GET http://a/v1/variants/APPLE?limit=1#x HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"GET /v1/orders?status=paid&limit=%31 HTTP/1.0\r\nCookie: a=b; c\r\n\r\n",
    b"POST /v1/gateways/stripe/webhook HTTP/1.1\r\n" + HEAD + length(b"{}") + b"\r\n\r\n{}",
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\nHost: a\r\n\r\n",
)
SCRAPS = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b"%",
        b"%00",
        b"%ff",
        b"\xff",
        b"\x80",
        b"/",
    ),
    *(b"..", b"//", b"?", b"#", b"0", b"-1", b"9" * 30, b"ffffffffffffffff\r\n", b"\r\n\r\n", b"{"),
    *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n", b"A" * 40_000),
    *(b"X-Forwarded-For: ,,\r\n", b"X-Forwarded-Proto: \xe4\r\n", b"Origin: null\r\n", b"HTTP/2.0"),
    *(
        b"Connection: x\r\n",
        b"Authorization: Bearer \xff\r\n",
        b"traceparent: 00-\r\n",
        b"[" * 3000,
    ),
    *(b"If-Match: *\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", b'"', b"\\u0000"),
)


def mutants(chance: random.Random) -> Iterator[bytes]:
    """Spoil requests, a little or much."""
    while True:
        request = bytearray(chance.choice(SEEDS))
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3, 8))):
            _spoil(request, chance)
        yield bytes(request)


def _spoil(request: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(request) + 1)
    upto = min(at + chance.randint(1, 12), len(request))
    match chance.randrange(7):
        case 0:
            request[at:at] = chance.choice(SCRAPS)
        case 1:
            request[at:upto] = chance.choice(SCRAPS)
        case 2:
            request[at:upto] = chance.randbytes(upto - at)
        case 3:
            del request[at:upto]
        case 4:
            del request[at:]
        case 5:
            request[at:at] = request[at:upto] * chance.randint(1, 50)
        case _:
            # A line goes to another place.
            lines = bytes(request).split(b"\r\n")
            lines.insert(chance.randrange(len(lines)), lines.pop(chance.randrange(len(lines))))
            request[:] = b"\r\n".join(lines)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wire") / "log"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def process(
    database_url: str, redis_url: str, shop_database: Database, log: Path
) -> AsyncGenerator[Process]:
    del shop_database
    patience = {"head_timeout_s": PATIENCE_S, "body_timeout_s": PATIENCE_S}
    async with web(database_url, redis_url, log, **patience) as running:
        yield running


def read(said: bytes) -> list[int]:
    """Read answer after answer; AssertionError unless each is in order and nothing is left over."""
    statuses = list[int]()
    while said:
        head, ended, rest = said.partition(b"\r\n\r\n")
        assert ended
        assert head.startswith(b"HTTP/1.1 ")
        statuses.append(code := status(head))
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        body_bytes = int(headers.get(b"content-length", b"0"))
        body, said = rest[:body_bytes], rest[body_bytes:]
        assert len(body) == body_bytes
        if code >= 200:
            _check(code, headers, body)
    return statuses


def _check(code: int, headers: dict[bytes, bytes], body: bytes) -> None:
    assert code < 500
    assert b"transfer-encoding" not in headers
    assert re.fullmatch(b"[a-z0-9._-]+", headers[b"x-request-id"])
    assert headers[b"x-content-type-options"] == b"nosniff"
    if code >= 400:
        assert headers[b"content-type"] == b"application/problem+json"
        problem = json.loads(body)
        assert problem["status"] == code == KINDS[problem["code"]].status


@pytest.mark.timeout(SECONDS + BESIDES_S)
async def test_whatever_is_sent_is_answered_in_order_or_hung_up_on(
    process: Process, log: Path
) -> None:
    sent = mutants(random.Random(SEED))  # noqa: S311 - repeatable, not secret
    until = time.monotonic() + SECONDS
    codes = set[int]()

    async def send() -> None:
        while time.monotonic() < until:
            request = next(sent)
            try:
                said = await answer_to(process.port, request)
            except ConnectionError:
                continue
            try:
                codes.update(read(said))
            except (AssertionError, ValueError, KeyError) as wrong:
                raise AssertionError(f"{request[:3000]!r} got {said[:3000]!r}") from wrong

    async with asyncio.TaskGroup() as senders:
        for _ in range(CONNECTIONS):
            senders.create_task(send())

    assert {200, 400, 408} <= codes
    assert read(await answer_to(process.port, READ + b"\r\n")) == [200]
    assert process.running.returncode is None
    lines = [json.loads(line) for line in (await asyncio.to_thread(log.read_text)).splitlines()]
    failures = [line for line in lines if line["level"] in {"error", "critical"}]
    assert failures == [], json.dumps(failures)
