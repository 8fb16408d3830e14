import asyncio
import os
import select
import signal
import sys
from pathlib import Path

import pytest

from ops.local.program import CHECKOUT, Program
from ops.local.state import CannotStart
from ops.local.supervise import run_to_end, supervised
from tests.ops.local.hearing import WITHIN_S, Hearing

ENV = {"PATH": "/usr/bin:/bin"}
STUBBORN = 'trap "" TERM; sleep 60 & echo "pid $!"; echo "pid $$"; while :; do wait; done'
# Prints the ids of a child and of its child, and stays.
PARENT = 'sleep 60 & echo "pid $!"; echo "pid $$"; wait'


def shell(name: str, script: str, env: dict[str, str] | None = None) -> Program:
    return Program(name=name, argv=("/bin/sh", "-c", script), env=env or ENV)


def is_gone(pid: int, within_s: float = WITHIN_S) -> bool:
    """Wait for the process to end; it need not be our child."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], within_s)[0])
    finally:
        os.close(descriptor)


async def pids_said(hearing: Hearing, times: int = 2) -> list[int]:
    await hearing.until("pid ", times)
    return [int(line.removeprefix("pid ")) for line in hearing.all_with("pid ")]


async def test_dead_program_is_started_again_and_said_so() -> None:
    hearing = Hearing()
    async with supervised([shell("clock", 'echo "pid $$"; exec sleep 60')], say=hearing):
        first, *_ = await pids_said(hearing, 1)

        os.kill(first, signal.SIGKILL)

        said = await hearing.until("starting it again")
        *_, second = await pids_said(hearing, 2)
        assert said == "clock was killed by SIGKILL; starting it again in 0.2 s"
        assert second != first


async def test_program_that_keeps_dying_is_started_ever_later() -> None:
    hearing = Hearing()
    async with supervised([shell("clock", "exit 3")], say=hearing):
        await hearing.until("starting it again", 3)

    assert hearing.all_with("starting it again")[:3] == [
        f"clock ended (exit 3); starting it again in {delay} s" for delay in ("0.2", "0.4", "0.8")
    ]


async def test_death_of_one_leaves_the_others_alone() -> None:
    hearing = Hearing()
    async with supervised(
        [shell("a", "exec sleep 60"), shell("b", "exec sleep 60")], say=hearing
    ) as fleet:
        before = {name: await child.running() for name, child in fleet.children.items()}

        await fleet.kill("a")
        after = {name: await child.running() for name, child in fleet.children.items()}

        assert after["b"] == before["b"]
        assert after["a"] != before["a"]
        assert fleet.pids() == after


async def test_stopping_lets_a_program_finish() -> None:
    hearing = Hearing()
    script = 'trap "echo finished; exit 0" TERM; echo ready; while :; do sleep 0.01; done'
    async with supervised([shell("worker", script)], say=hearing):
        await hearing.until("ready")

    assert hearing.lines[-1] == ("worker", "finished")


async def test_stopping_lets_a_frozen_program_finish() -> None:
    hearing = Hearing()
    script = 'trap "echo finished; exit 0" TERM; echo ready; while :; do sleep 0.01; done'
    async with supervised([shell("worker", script)], say=hearing) as fleet:
        await hearing.until("ready")
        os.killpg(fleet.pids()["worker"], signal.SIGSTOP)

    assert hearing.lines[-1] == ("worker", "finished")


async def test_children_are_told_to_stop_by_their_program_alone() -> None:
    hearing = Hearing()
    child = 'trap "echo told; told=1" TERM; echo ready; until [ "$told" ]; do sleep 0.01; done'
    script = f"({child}; echo over) & trap 'kill $!; wait $!; exit 0' TERM; echo ready; wait"
    async with supervised([shell("worker", script)], say=hearing):
        await hearing.until("ready", 2)

    assert len(hearing.all_with("told")) == 1
    assert hearing.lines[-1] == ("worker", "over")


async def test_children_a_program_leaves_behind_are_asked_to_stop_too() -> None:
    hearing = Hearing()
    child = 'trap "echo told; exit" TERM; echo ready; while :; do sleep 0.01; done'
    async with supervised([shell("worker", f"({child}) & exec sleep 60")], say=hearing):
        await hearing.until("ready")

    assert len(hearing.all_with("told")) == 1


async def test_stubborn_program_and_its_children_are_gone_after_the_grace() -> None:
    hearing = Hearing()
    loop = asyncio.get_running_loop()
    async with supervised([shell("worker", STUBBORN)], say=hearing, grace_s=0.3):
        pids = await pids_said(hearing)
        began = loop.time()

    assert 0.3 <= loop.time() - began < 1.3
    assert all(is_gone(pid, 1.0) for pid in pids)


async def test_children_of_a_dead_program_do_not_outlive_it() -> None:
    hearing = Hearing()
    async with supervised([shell("worker", PARENT)], say=hearing):
        grandchild, leader = await pids_said(hearing)

        os.kill(leader, signal.SIGKILL)

        await hearing.until("starting it again")
        assert is_gone(grandchild)


async def test_stopped_program_stays_stopped_until_started() -> None:
    hearing = Hearing()
    async with supervised([shell("worker", "exec sleep 60")], say=hearing) as fleet:
        first = await fleet.children["worker"].running()

        await fleet.stop("worker")
        stopped = fleet.pids()
        second = await fleet.restart("worker")

        assert stopped == {}
        assert is_gone(first, 0.0)
        assert fleet.pids() == {"worker": second}
        assert hearing.lines == []


async def test_failure_inside_still_stops_everything() -> None:
    hearing = Hearing()

    async def work() -> None:
        async with supervised([shell("worker", PARENT)], say=hearing):
            await pids_said(hearing)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()

    pids = await pids_said(hearing)
    assert all(is_gone(pid, 1.0) for pid in pids)


async def test_failure_to_listen_stops_everything_and_is_raised() -> None:
    def refuse(name: str, line: str) -> None:
        raise BrokenPipeError(name, line)

    with pytest.RaisesGroup(BrokenPipeError):
        async with supervised([shell("worker", "echo ready; exec sleep 60")], say=refuse):
            await asyncio.Event().wait()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of that")
async def test_programs_do_not_outlive_a_killed_supervisor() -> None:
    script = (
        "import asyncio\n"
        "from ops.local.program import Program\n"
        "from ops.local.supervise import supervised\n"
        "async def main():\n"
        "    program = Program(name='w', argv=('sh', '-c', 'echo $$; exec sleep 60'), env={})\n"
        "    async with supervised([program], say=lambda name, line: print(line, flush=True)):\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    supervisor = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script), cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE
    )
    assert supervisor.stdout is not None
    child = int(await asyncio.wait_for(supervisor.stdout.readline(), WITHIN_S))

    supervisor.kill()
    await supervisor.communicate()

    assert is_gone(child)


async def test_unready_program_that_keeps_dying_is_given_up_with_its_last_lines() -> None:
    async def answers() -> bool:
        return False

    async with supervised([shell("web", "echo no such module; exit 1")], say=Hearing()) as fleet:
        with pytest.raises(CannotStart, match=r"(?s)web keeps dying.*no such module"):
            await fleet.ready("web", answers)


async def test_deaths_before_the_wait_do_not_count_against_a_program() -> None:
    answered = iter([False, True])

    async def answers() -> bool:
        return next(answered)

    async with supervised([shell("web", "exec sleep 60")], say=Hearing()) as fleet:
        fleet.children["web"].deaths = 100

        await fleet.ready("web", answers)

    assert list(answered) == []


async def test_unready_program_is_given_up_in_time() -> None:
    async def answers() -> bool:
        return False

    async with supervised([shell("web", "exec sleep 60")], say=Hearing()) as fleet:
        with pytest.raises(CannotStart, match="web is not ready after 0 s"):
            await fleet.ready("web", answers, within_s=0.1)


async def test_failed_release_is_refused_with_its_last_lines() -> None:
    hearing = Hearing()

    with pytest.raises(CannotStart, match=r"(?s)release ended \(exit 4\).*moving.*column exists"):
        await run_to_end(shell("release", "echo moving; echo column exists >&2; exit 4"), hearing)

    assert hearing.lines == [("release", "moving"), ("release", "column exists")]


async def test_the_only_line_of_a_failed_release_is_told_once() -> None:
    hearing = Hearing()

    with pytest.raises(CannotStart, match=r"^release ended \(exit 4\): column exists$"):
        await run_to_end(shell("release", "echo column exists >&2; exit 4"), hearing)

    assert hearing.lines == []


@pytest.mark.parametrize("lines", [0, 1, 2, 40])
async def test_all_that_a_release_writes_is_said(lines: int) -> None:
    hearing = Hearing()

    await run_to_end(shell("release", f"seq 1 {lines}"), hearing)

    assert hearing.lines == [("release", str(n + 1)) for n in range(lines)]


def test_live_gauges_of_dead_processes_are_forgotten(tmp_path: Path) -> None:
    env = ENV | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    ours = tmp_path / f"gauge_livesum_{os.getpid()}.db"
    ours.touch()
    script = 'cd "$PROMETHEUS_MULTIPROC_DIR"; touch gauge_livesum_$$.db counter_$$.db'

    asyncio.run(run_to_end(shell("worker", script, env), Hearing()))

    assert list(tmp_path.glob("gauge_*")) == [ours]
    assert len(list(tmp_path.glob("counter_*"))) == 1
