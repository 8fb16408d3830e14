import asyncio
import random
import socket
import time
from collections.abc import AsyncGenerator

import pytest

from db.limits import AWAY_S, Ask, Bucket, Kept, Spendings
from domain.limit import Limit
from tests.db.rings import Valkey

FIVE = Limit("five", 5, 3600)
THREE = Limit("three", 3, 3600)
BRIEFLY_S = 0.15
# What a loaded machine may need on top of what is waited for.
SLACK_S = 0.1
# Load fails one now and then; waiting twice fails all.
ROUNDS = 4


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def spendings(
    lone_valkey_server: str, lone_valkey: Valkey, clock: Clock
) -> AsyncGenerator[Spendings]:
    """One process's view of an empty Valkey, with patience for a busy machine."""
    del lone_valkey
    made = Spendings(lone_valkey_server, within_s=10, clock=clock)
    yield made
    await made.close()


async def passed(spendings: Spendings, *asks: Ask) -> list[bool]:
    return [all(v.allowed for v in verdicts) for verdicts in await spendings.take(asks)]


async def test_processes_share_what_is_spent(lone_valkey_server: str, spendings: Spendings) -> None:
    other = Spendings(lone_valkey_server, within_s=10)
    ask = [Bucket(FIVE, "ann")]

    groups = await asyncio.gather(
        *(passed(process, ask, ask) for process in (spendings, other) for _ in range(4))
    )
    await other.close()

    assert sorted(allowed for group in groups for allowed in group) == [False] * 11 + [True] * 5


async def test_each_spends_of_ones_own(spendings: Spendings) -> None:
    await passed(spendings, *[[Bucket(FIVE, "ann")]] * 5)

    assert await passed(
        spendings, [Bucket(FIVE, "ann")], [Bucket(FIVE, "bob")], [Bucket(THREE, "ann")]
    ) == [False, True, True]


async def test_who_is_refused_by_one_limit_spends_nothing_of_another(spendings: Spendings) -> None:
    both = [Bucket(FIVE, "ann"), Bucket(THREE, "1.2.3.4")]

    assert await passed(spendings, *[both] * 9) == [True] * 3 + [False] * 6
    assert await passed(spendings, *[[Bucket(FIVE, "ann")]] * 3) == [True, True, False]


async def test_redis_and_the_process_alone_decide_alike(spendings: Spendings) -> None:
    chance = random.Random(7)  # noqa: S311 - repeatable, not secret
    kept = Kept()
    limits = [Limit(f"limit-{n}", n, 3600) for n in (1, 2, 7, 40)]

    for _ in range(60):
        asks = [
            [
                Bucket(limit, chance.choice("abc"))
                for limit in chance.sample(limits, chance.randint(1, 3))
            ]
            for _ in range(chance.randint(1, 8))
        ]
        there, alone = await spendings.take(asks), kept.take(asks, 10**15)
        assert [[(v.allowed, v.remaining) for v in ask] for ask in there] == [
            [(v.allowed, v.remaining) for v in ask] for ask in alone
        ]


async def test_a_bucket_is_gone_from_redis_when_it_is_whole_again(
    spendings: Spendings, lone_valkey: Valkey
) -> None:
    bucket = Bucket(FIVE, "ann")

    await passed(spendings, [bucket], [bucket])

    assert 1400_000 < await lone_valkey.pttl(bucket.key) <= 1440_000


@pytest.mark.parametrize("clock_of_another", [10**30, 2 * 10**15])
async def test_a_moment_that_cannot_be_locks_nobody_out_for_longer_than_the_window(
    spendings: Spendings, lone_valkey: Valkey, clock_of_another: int
) -> None:
    bucket = Bucket(Limit("quick", 1000, 1), "ann")
    await lone_valkey.set(bucket.key, clock_of_another)

    [[verdict]] = await spendings.take([[bucket]])

    assert not verdict.allowed
    assert verdict.whole_in_us == 1_000_000


@pytest.mark.parametrize("harm", ["FLUSHALL", "SCRIPT FLUSH", "CLIENT KILL TYPE normal SKIPME yes"])
async def test_after_harm_to_redis_requests_pass(
    spendings: Spendings, lone_valkey: Valkey, harm: str
) -> None:
    await passed(spendings, [Bucket(FIVE, "ann")])

    await lone_valkey.execute_command(harm)

    assert await passed(spendings, [Bucket(FIVE, "ann")]) == [True]


@pytest.mark.parametrize("harm", ["a list", "no number", "full", "a replica"])
async def test_while_redis_cannot_count_the_process_does(
    spendings: Spendings, lone_valkey: Valkey, clock: Clock, harm: str
) -> None:
    bucket = Bucket(FIVE, "ann")
    inflict = {
        "a list": ("RPUSH", bucket.key, "x"),
        "no number": ("SET", bucket.key, "x"),
        "full": ("CONFIG", "SET", "maxmemory", "1"),
        "a replica": ("REPLICAOF", "127.0.0.1", "1"),
    }
    await lone_valkey.execute_command(*inflict[harm])

    try:
        assert await passed(spendings, *[[bucket]] * 6) == [True] * 5 + [False]
    finally:
        await lone_valkey.execute_command("CONFIG", "SET", "maxmemory", "0")
        await lone_valkey.execute_command("REPLICAOF", "NO", "ONE")
    await lone_valkey.flushall()
    clock.now_s += AWAY_S

    await passed(spendings, [bucket])
    assert await lone_valkey.exists(bucket.key)


async def test_a_redis_that_is_not_there_is_done_without() -> None:
    spendings = Spendings("redis://127.0.0.1:1/0", within_s=10)

    assert await passed(spendings, *[[Bucket(FIVE, "ann")]] * 6) == [True] * 5 + [False]

    await spendings.close()


async def test_a_redis_that_does_not_answer_is_waited_for_once_and_briefly(clock: Clock) -> None:
    took: list[float] = []
    for _ in range(ROUNDS):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            silent.settimeout(0)
            spendings = Spendings(
                f"redis://127.0.0.1:{silent.getsockname()[1]}/0", within_s=BRIEFLY_S, clock=clock
            )
            began = time.perf_counter()

            for _ in range(20):
                await passed(spendings, [Bucket(FIVE, "ann")])

            took.append(time.perf_counter() - began)
            assert await passed(spendings, [Bucket(FIVE, "ann")]) == [False]
            silent.accept()[0].close()
            with pytest.raises(BlockingIOError):
                silent.accept()
            await spendings.close()

    assert min(took) < BRIEFLY_S + SLACK_S


async def test_without_a_redis_the_process_counts() -> None:
    spendings = Spendings("", within_s=10)

    assert await passed(spendings, *[[Bucket(THREE, "ann")]] * 4) == [True] * 3 + [False]


def test_memory_for_who_asks_has_an_end() -> None:
    kept = Kept(kept_max=3)

    for owner in "abcd":
        kept.take([[Bucket(THREE, owner)]], 10**15)
    [[forgotten], [known]] = kept.take([[Bucket(THREE, "a")], [Bucket(THREE, "d")]], 10**15)

    assert (forgotten.remaining, known.remaining) == (2, 1)
