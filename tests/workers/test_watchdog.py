"""The watchdog ends whose event loop is stuck, and nobody else."""

import asyncio
import signal
import sys
import threading

import pytest

from workers.watchdog import BEAT_S, watch

# Blocks its event loop, once it is told to; until then, and after, it answers.
STUCK = """
import asyncio, sys, threading
from workers.watchdog import watch

async def main():
    args = (asyncio.get_running_loop(), 1.0, threading.Event())
    threading.Thread(target=watch, args=args, daemon=True).start()
    print("watched", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print("awake", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    while True:
        pass

asyncio.run(main())
"""


async def test_process_whose_loop_is_stuck_ends_and_shows_where() -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STUCK, stdin=pipe, stdout=pipe, stderr=pipe
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"watched\n"

    # Stopped as a whole for longer than its patience, it goes on.
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(process.wait(), 3 * BEAT_S)
    process.send_signal(signal.SIGCONT)
    process.stdin.write(b"\n")
    assert await process.stdout.readline() == b"awake\n"
    process.stdin.write(b"\n")
    _, said = await process.communicate()

    assert process.returncode == 1
    assert b"The event loop is stuck" in said
    assert b"in main" in said


async def test_watch_ends_when_it_is_told_to() -> None:
    ended = threading.Event()
    loop = asyncio.get_running_loop()
    watching = asyncio.create_task(asyncio.to_thread(watch, loop, 60.0, ended))

    ended.set()

    await asyncio.wait_for(watching, 10)
