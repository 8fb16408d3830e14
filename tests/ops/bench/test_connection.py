"""The connection reads answers whole, however they arrive, and tells when none will come."""

import asyncio

import pytest

from ops.bench.connection import Answer, Connection
from tests.ops.bench.stub import Stub, answer, serving

REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
WHOLE = answer("202 Accepted", b'{"id":1}', "location: /v1/orders/1")


async def ask(stub: Stub, *, times: int = 1) -> list[Answer | None]:
    heard = asyncio.Queue[Answer | None]()
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(lambda _, said: heard.put_nowait(said)), "127.0.0.1", stub.port
    )
    answers: list[Answer | None] = []
    for _ in range(times):
        connection.send(REQUEST)
        answers.append(await heard.get())
    connection.close()
    return answers


@pytest.mark.parametrize("cut", range(1, len(WHOLE)))
async def test_answer_in_two_pieces_is_read_whole(cut: int) -> None:
    async with serving(lambda _: [WHOLE[:cut], WHOLE[cut:]]) as stub:
        [said] = await ask(stub)

    assert said is not None
    assert (said.status, said.body) == (202, b'{"id":1}')
    assert said.head.endswith(b"location: /v1/orders/1")
    assert 0 < said.latency_s < 10


async def test_connection_is_kept_for_the_next_request() -> None:
    async with serving(lambda stub: [answer(f"{200 + len(stub.heads)} OK", b"x")]) as stub:
        answers = await ask(stub, times=3)

    assert [said and said.status for said in answers] == [201, 202, 203]


async def test_hanging_up_is_told_at_once_and_at_each_later_request() -> None:
    async with serving(lambda _: []) as stub:
        answers = await ask(stub, times=2)

    assert answers == [None, None]
    assert len(stub.heads) == 1
