import asyncio
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from ops.storm.history import Asked, History, Op, Outcome, entries
from ops.storm.load import asked, clients
from ops.storm.plan import Act, stories

HOST = "127.0.0.1"
PLACE = Asked(Op.PLACE, "POST", "/v1/orders", "key-1", content={"email": "ann@example.com"})


def an_answer(status: int, code: str = "") -> web.Response:
    if status < 300:
        return web.json_response({"id": "0199"}, status=status)
    return web.Response(
        status=status,
        body=msgspec.json.encode({"code": code}),
        content_type="application/problem+json",
    )


@asynccontextmanager
async def a_platform(answers: Sequence[web.Response]) -> AsyncGenerator[tuple[str, list[str]]]:
    """Answer one request after the other; gives the URL and the keys that came."""
    keys: list[str] = []
    left = iter(answers)

    async def answer(request: web.Request) -> web.Response:
        keys.append(request.headers.get("Idempotency-Key", ""))
        return next(left)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    try:
        yield f"http://{HOST}:{runner.addresses[0][1]}", keys
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("answers", "outcome", "statuses"),
    [
        ([an_answer(202)], Outcome.OK, [202]),
        ([an_answer(422, "unknown_sku")], Outcome.REFUSED, [422]),
        ([an_answer(503, "unavailable"), an_answer(202)], Outcome.OK, [503, 202]),
        ([an_answer(409, "idempotency_in_progress"), an_answer(202)], Outcome.OK, [409, 202]),
        ([an_answer(409, "illegal_move")], Outcome.REFUSED, [409]),
    ],
    ids=["accepted", "refused", "later", "in progress", "too late"],
)
async def test_request_is_repeated_under_its_key_until_the_answer_is_definite(
    answers: Sequence[web.Response], outcome: Outcome, statuses: Sequence[int]
) -> None:
    history = History(BytesIO())
    async with (
        a_platform(answers) as (url, keys),
        clients([url], "secret", history) as load,
    ):
        entry = await load.ask(PLACE)

    assert entry.outcome is outcome
    assert [tried.status for tried in entry.tries] == statuses
    assert keys == ["key-1"] * len(statuses)


async def test_other_process_is_asked_when_one_is_away() -> None:
    history = History(BytesIO())
    with socket.socket() as nobody:
        nobody.bind((HOST, 0))
        away = f"http://{HOST}:{nobody.getsockname()[1]}"
    async with (
        a_platform([an_answer(202)]) as (url, _),
        clients([away, url], "secret", history) as load,
    ):
        entry = await load.ask(PLACE)

    assert [tried.status for tried in entry.tries] == [0, 202]


async def test_money_is_moved_once_the_order_has_some() -> None:
    history = History(BytesIO())
    order_id = "01a1fd39-e93e-7171-bfe6-1672434f299c"
    seen = [{"id": order_id, "total_minor": 1000}, {"status": "reserved"}, {"status": "paid"}, {}]
    story = msgspec.structs.replace(
        stories(1, 1.0)[0], at_s=0.0, acts=[Act(Op.REFUND, after_s=0.0, part=0.5)]
    )
    async with (
        a_platform([web.json_response(content) for content in seen]) as (url, _),
        clients([url], "secret", history) as load,
    ):
        await load.tell([story])

    assert [entry.asked.op for entry in history.entries] == ["place", "read", "read", "refund"]


async def test_history_is_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with path.open("wb") as file:
        history = History(file)
        async with (
            a_platform([an_answer(202)]) as (url, _),
            clients([url], "secret", history) as load,
        ):
            await load.ask(PLACE)

    assert list(entries(path)) == history.entries


async def test_operation_that_never_ended_is_in_the_history_and_came_to_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "history.jsonl"
    with path.open("wb") as file:
        History(file).invoke(PLACE)

    text = await asyncio.to_thread(path.read_text)
    assert '"type":"invoked"' in text
    assert list(entries(path)) == []


@pytest.mark.parametrize("op", [Op.CAPTURE, Op.VOID, Op.REFUND])
def test_money_is_moved_by_staff_under_a_key_of_its_own(op: Op) -> None:
    story = stories(1, 1.0)[0]

    wanted = asked(Act(op, 0.0, 0.5), story, "0199", 1000, 3)

    assert wanted.staff
    assert wanted.key == f"{story.key}-3"


def test_replay_is_the_same_request_and_reuse_another_one_under_the_same_key() -> None:
    story = stories(1, 1.0)[0]

    same, other = (asked(Act(op, 0.0, 0.5), story, "0199", 1000, 0) for op in (Op.REPLAY, Op.REUSE))

    assert same.key == other.key == story.key
    assert same.content != other.content
