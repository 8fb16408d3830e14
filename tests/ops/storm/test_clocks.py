import os
import sys
import time
from asyncio.subprocess import PIPE, create_subprocess_exec
from pathlib import Path

from ops.storm.clocks.offsets import Clocks

TELL = """
import sys, time
for _ in sys.stdin:
    print(time.time(), time.time_ns() / 1e9, time.monotonic(), flush=True)
"""
NEAR_S = 30.0


async def test_clock_of_a_running_process_steps_and_is_put_right(tmp_path: Path) -> None:
    clocks = Clocks(tmp_path)
    env = {**os.environ, **clocks.environment("web-1")}
    process = await create_subprocess_exec(
        *(sys.executable, "-c", TELL), stdin=PIPE, stdout=PIPE, env=env
    )
    assert process.stdin is not None
    assert process.stdout is not None

    off: list[tuple[float, float, float]] = []
    for step in (lambda: None, lambda: clocks.put_off("web-1", -600.0), clocks.mend):
        step()
        process.stdin.write(b"\n")
        wall, wall_ns, steady = map(float, (await process.stdout.readline()).split())
        off.append((wall - time.time(), wall_ns - time.time(), steady - time.monotonic()))
    process.stdin.close()
    await process.wait()

    expected = [(0, 0, 0), (-600, -600, 0), (0, 0, 0)]
    pairs = zip((x for xs in off for x in xs), (y for ys in expected for y in ys), strict=True)
    assert all(abs(seen - meant) < NEAR_S for seen, meant in pairs), off


async def test_process_without_a_clock_of_its_own_goes_by_the_machines(tmp_path: Path) -> None:
    clocks = Clocks(tmp_path)
    clocks.put_off("web-2", 600.0)
    env = {**os.environ, **clocks.environment("web-1")}

    process = await create_subprocess_exec(
        *(sys.executable, "-c", "import time; print(time.time())"), stdout=PIPE, env=env
    )
    told, _ = await process.communicate()

    assert abs(float(told) - time.time()) < NEAR_S
