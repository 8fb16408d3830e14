"""Whether Redis answers: told from what was last seen, and never waited for long."""

import asyncio
import time

from db.reach import Reach


async def test_redis_that_answers_is_not_away(redis_url: str) -> None:
    reach = Reach(redis_url)

    assert not await reach.is_away()
    await reach.close()


async def test_without_an_address_there_is_none_to_miss() -> None:
    assert not await Reach("").is_away()


async def test_redis_that_is_not_there_is_away() -> None:
    assert await Reach("redis://127.0.0.1:1/0").is_away()


async def test_redis_that_does_not_answer_is_waited_for_once_and_shortly() -> None:
    asked = 0

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reach = Reach(f"redis://127.0.0.1:{port}/0", within_s=0.2, every_s=60)
    began = time.monotonic()

    away = await asyncio.gather(*(reach.is_away() for _ in range(20)))

    assert all(away)
    assert asked == 1
    assert time.monotonic() - began < 2
    await reach.close()
    server.close()
