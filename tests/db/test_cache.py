"""What is cached is shown while it holds and never after, whoever wrote it and whatever is lost."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

import msgspec
import pytest
import redis.asyncio
from prometheus_client import REGISTRY

from db.cache import IN_PROCESS_S, JITTER, Kind, Read
from db.engine import Database, Unavailable, transaction
from db.freshness import ASK_AFTER_S, AWAY_S, KNOWN_S
from db.invalidations import KEEP_S, touch
from ops.config import Settings
from tests.db.backends import Admin
from tests.db.caches import PRICE, TAG, Clock, Process, processes, write_price
from tests.postgres import Wire
from tests.waiting import eventually

SECOND = 1.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def pair(
    settings: Settings, database: Database, clock: Clock
) -> AsyncGenerator[tuple[Process, Process]]:
    async with processes(settings, database, clock, 2) as (one, other):
        await one.set_price(100)
        yield one, other


Pair = tuple[Process, Process]


async def test_many_who_ask_at_once_are_answered_by_one_reading(pair: Pair) -> None:
    one, _ = pair

    prices = await asyncio.gather(*(one.price() for _ in range(50)))

    assert (set(prices), one.readings) == ({100}, 1)


async def _in_redis(valkey: "redis.asyncio.Redis") -> str:
    """Wait for the one value that is stored beside the answer; gives its key."""

    async def keys() -> list[bytes]:
        return [name async for name in valkey.scan_iter("orderflow:cache:*")]

    [key] = await eventually(keys)
    return key.decode()


async def test_what_one_process_read_the_other_has_from_redis(
    pair: Pair, valkey: "redis.asyncio.Redis"
) -> None:
    one, other = pair
    await one.price()
    await _in_redis(valkey)

    assert (await other.price(), other.readings) == (100, 0)


async def test_own_change_is_seen_at_once(pair: Pair) -> None:
    one, _ = pair
    await one.price()

    await one.set_price(200)

    assert await one.price() == 200


async def test_change_by_another_process_is_seen_within_a_second(pair: Pair, clock: Clock) -> None:
    one, other = pair
    await other.price()

    await one.set_price(200)
    clock.now += SECOND

    assert await other.price() == 200


async def test_what_was_known_a_moment_ago_is_shown_without_asking(
    pair: Pair, clock: Clock
) -> None:
    one, _ = pair
    await one.price()

    clock.now += KNOWN_S

    # It is shown as it is, and beside that asked about.
    assert one.cache.peek(PRICE, "CUP") == 100
    clock.now += ASK_AFTER_S
    assert one.cache.peek(PRICE, "CUP") is None


async def test_value_that_was_overtaken_while_it_was_read_is_shown_to_nobody_else(
    pair: Pair, clock: Clock
) -> None:
    slow, other = pair
    slow.may_go_on.clear()
    reading = asyncio.create_task(slow.price())
    await slow.has_read.wait()

    await other.set_price(200)
    assert await other.price() == 200
    slow.may_go_on.set()
    assert await reading == 100  # It was so when it was asked for.

    clock.now += SECOND
    assert [await slow.price(), await other.price()] == [200, 200]


def _waits() -> float:
    return REGISTRY.get_sample_value("orderflow_cache_waits_total", {"kind": PRICE.name}) or 0


def _refused_by_redis() -> float:
    name = "orderflow_cache_refusals_total"
    return REGISTRY.get_sample_value(name, {"level": "redis"}) or 0


async def test_old_value_does_not_replace_a_newer_one_in_redis(
    pair: Pair, settings: Settings, database: Database, clock: Clock
) -> None:
    slow, other = pair
    slow.may_go_on.clear()
    reading = asyncio.create_task(slow.price())
    await slow.has_read.wait()
    await other.set_price(200)
    await other.price()
    before = _refused_by_redis()
    slow.may_go_on.set()
    await reading

    # It does not know better, but what is in Redis says so.
    async def is_refused() -> bool:
        return _refused_by_redis() == before + 1

    await eventually(is_refused)
    async with processes(settings, database, clock, 1) as [third]:
        assert (await third.price(), third.readings) == (200, 0)


async def test_who_comes_after_a_change_does_not_wait_for_a_reading_from_before_it(
    pair: Pair,
) -> None:
    one, _ = pair
    one.may_go_on.clear()
    before = asyncio.create_task(one.price())
    await one.has_read.wait()
    await one.set_price(200)

    waited = _waits()
    after = asyncio.create_task(one.price())

    async def waits() -> bool:
        return _waits() > waited

    await eventually(waits)
    one.may_go_on.set()

    assert [await before, await after] == [100, 200]


async def test_transaction_that_began_first_and_ended_last_is_noticed(
    pair: Pair, database: Database, clock: Clock
) -> None:
    one, _ = pair
    async with transaction(database) as early:
        await write_price(early, 200)
        async with transaction(database) as late:
            await touch(late, [TAG])
        clock.now += SECOND
        assert await one.price() == 100
    clock.now += SECOND

    assert await one.price() == 200


async def test_change_that_is_rolled_back_changes_nothing(
    pair: Pair, database: Database, clock: Clock
) -> None:
    one, _ = pair
    await one.price()

    with suppress(ZeroDivisionError):
        async with transaction(database) as tx:
            await write_price(tx, 200)
            raise ZeroDivisionError
    clock.now += SECOND

    assert (await one.price(), one.readings) == (100, 1)


async def test_what_is_not_there_is_remembered_until_it_is(
    settings: Settings, database: Database, clock: Clock
) -> None:
    async with processes(settings, database, clock, 2) as (one, other):
        assert [await one.price(), await one.price(), one.readings] == [None, None, 1]

        await other.set_price(100)
        clock.now += SECOND

        assert await one.price() == 100


async def test_value_ends_when_it_is_said_to_in_every_process(
    pair: Pair, clock: Clock, valkey: "redis.asyncio.Redis"
) -> None:
    one, other = pair
    await one.price(fresh_s=0.4)
    key = await _in_redis(valkey)
    await other.price(fresh_s=0.4)
    assert (other.cache.peek(PRICE, "CUP"), other.readings) == (100, 0)

    clock.now += 0.4

    assert other.cache.peek(PRICE, "CUP") is None

    async def is_gone() -> bool:
        return not await valkey.exists(key)

    await eventually(is_gone)


async def test_value_is_looked_up_again_after_some_seconds_not_all_at_once(
    pair: Pair, clock: Clock
) -> None:
    one, _ = pair
    for key in map(str, range(20)):
        await one.cache.get(PRICE, key, _seven)

    clock.now += IN_PROCESS_S * (1 - JITTER / 2)
    await one.cache.freshness.learn()
    left = sum(one.cache.peek(PRICE, str(n)) is not None for n in range(20))
    clock.now += IN_PROCESS_S * JITTER / 2
    await one.cache.freshness.learn()

    assert 0 < left < 20
    assert not any(one.cache.peek(PRICE, str(n)) for n in range(20))


async def _seven() -> Read[int]:
    return Read(7, frozenset())


async def test_redis_that_was_wiped_is_not_missed(
    pair: Pair, clock: Clock, valkey: "redis.asyncio.Redis"
) -> None:
    one, other = pair
    await one.price()
    await valkey.flushdb()
    await one.set_price(200)

    assert [await other.price(), await one.price()] == [200, 200]
    await valkey.flushdb()
    clock.now += SECOND
    assert [await other.price(), await one.price()] == [200, 200]


async def test_what_somebody_else_wrote_to_redis_is_not_shown(
    pair: Pair, valkey: "redis.asyncio.Redis"
) -> None:
    one, other = pair
    await one.price()
    key = await _in_redis(valkey)
    for seen in ("0:0:", "1:1:", "9999999:9999999:", "nothing"):
        # As if it had been read then.
        written = msgspec.msgpack.encode((seen, (TAG,), 7))
        for content in (b"", b"junk", b"0" * 40 + written, b"9" * 40 + written):
            await valkey.set(key, content, px=100_000)

            assert await other.price() == 100
            await other.set_price(100)


async def test_without_redis_a_process_caches_alone(
    settings: Settings, database: Database, clock: Clock
) -> None:
    nowhere = msgspec.structs.replace(settings, redis_url="redis://127.0.0.1:1")
    async with processes(nowhere, database, clock, 2) as (one, other):
        await one.set_price(100)
        assert [await one.price(), await one.price(), await other.price()] == [100, 100, 100]
        assert (one.readings, other.readings) == (1, 1)

        await one.set_price(200)
        clock.now += SECOND

        assert [await one.price(), await other.price()] == [200, 200]


async def test_lost_connection_is_made_again_and_nothing_is_missed(
    pair: Pair, admin: Admin, clock: Clock
) -> None:
    one, other = pair
    await other.price()
    await one.set_price(200)
    await admin.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'orderflow cache'"
    )

    clock.now += SECOND

    assert await other.price() == 200


async def test_while_postgres_is_away_what_is_known_is_shown_for_some_seconds(
    settings: Settings, pair: Pair, database: Database, clock: Clock
) -> None:
    one, _ = pair
    async with Wire(settings.database_url).laid() as wire:
        through = msgspec.structs.replace(settings, database_url=wire.url)
        async with processes(through, database, clock, 1) as [cut_off]:
            await cut_off.price()
            wire.is_down = True
            wire.cut()
            await one.set_price(200)

            clock.now += IN_PROCESS_S * (1 - JITTER) - ASK_AFTER_S
            assert await cut_off.price() == 100
            clock.now += AWAY_S
            with pytest.raises(Unavailable):
                await cut_off.price()

            wire.is_down = False
            clock.now += SECOND
            assert await cut_off.price() == 200


def test_nothing_is_kept_for_longer_than_changes_are_told_of() -> None:
    with pytest.raises(ValueError, match="forgotten"):
        Kind("static", int, KEEP_S)
