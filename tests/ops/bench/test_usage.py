"""Processor time counts for descendants, living and dead; memory is that of the largest."""

import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ops.bench.usage import spent, usage, usages

BURN_S = 0.3
# The kernel tells user and system time each in whole hundredths.
ROUNDED_S = 0.02
BURN = f"""
import time
while time.process_time() < {BURN_S}: pass
"""
PARENT = """
import subprocess, sys
{first}
print("ready", flush=True)
input()
"""
DEAD_CHILD = f"subprocess.run([sys.executable, '-c', {BURN!r}], check=True)"
LARGE_CHILD = """
child = subprocess.Popen(
    [sys.executable, "-c", "held = bytearray(b'x' * 80_000_000); print(); input()"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
"""


@asynccontextmanager
async def parent(first: str) -> AsyncGenerator[int]:
    process = await create_subprocess_exec(
        sys.executable, "-c", PARENT.format(first=first), stdin=PIPE, stdout=PIPE
    )
    assert process.stdout
    assert await process.stdout.readline() == b"ready\n"
    yield process.pid
    await process.communicate(b"\n")


async def test_time_of_a_dead_child_counts() -> None:
    async with parent(DEAD_CHILD) as pid:
        assert BURN_S - ROUNDED_S <= usage(pid).cpu_s < 10


async def test_time_before_the_first_measurement_does_not_count() -> None:
    async with parent(DEAD_CHILD) as pid:
        before = usages({"web": pid})

        assert spent(before, usages({"web": pid}))["web"] < BURN_S / 2


async def test_memory_is_that_of_the_largest_process_of_the_family() -> None:
    async with parent(LARGE_CHILD) as pid:
        assert 80 < usage(pid).rss_mb < 140
