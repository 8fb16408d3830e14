"""One case from its beginning to its end, and what is held against what it left."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from db.invariants import Violation
from ops.bench import books
from ops.storm import checks, evidence, healing, witness
from ops.storm.history import Entry, Try
from ops.storm.matrix.broken import Broken, broken
from ops.storm.matrix.lane import Lane
from ops.storm.matrix.scene import Scene, Unexpected, idle
from ops.storm.matrix.stories import Story
from ops.storm.matrix.table import STORIES, Case
from ops.telemetry.faultpoint import Action

# A process starts in a second, and the longest way to a point is a look-up after five. A machine
# that is busy with something else takes many times as long.
_REACHED_WITHIN_S = 90.0
_CASE_WITHIN_S = 300.0
_INTERNAL_ERROR = 500


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What a case came to; `left` is what was not at rest, or why its story could not be told."""

    case: Case
    reached: bool = False
    status: str = ""
    overtaken: int = 0
    seconds: float = 0.0
    left: Sequence[str] = ()
    violations: Sequence[Violation] = ()

    @property
    def passed(self) -> bool:
        """Tell whether it is as promised."""
        return self.reached and not self.left and not self.violations


async def run(lane: Lane, case: Case) -> Ended:
    """Run a case in a lane that is at rest; it is at rest again afterwards, if all is well."""
    clock = asyncio.get_running_loop()
    began = clock.time()
    try:
        async with asyncio.timeout(_CASE_WITHIN_S):
            ended = await _run(lane, case)
    except (Unexpected, TimeoutError) as error:
        ended = Ended(case=case, left=[str(error) or "It did not end in time."])
    finally:
        for line in lane.fleet.children:
            lane.thaw(line)
    return msgspec.structs.replace(ended, seconds=round(clock.time() - began, 1))


async def _run(lane: Lane, case: Case) -> Ended:
    story, scene = STORIES[case.of], Scene(lane, case.name)
    await story.before(scene)
    if story.rests:
        await idle(lane)
    lane.hold(story.line)
    told = len(lane.history.entries)
    async with broken(lane, story.line, case.setting, story.env) as process:
        reached = await _tell(lane, story, scene, process)
        await story.after(scene)
        await _ended(story, scene)
        healed = await healing.heal(lane.env["DATABASE_URL"])
        if healed.seconds is not None:
            await idle(lane)
    if case.action is Action.RAISE and story.line == "web":
        _excuse(lane.history.entries, told)
    status = await _status(scene)
    left = [*healed.left]
    if story.ends and status not in story.ends:
        left.append(f"The order is {status}, not {' or '.join(sorted(story.ends))}.")
    return Ended(
        case=case,
        reached=reached,
        status=status,
        overtaken=process.overtaken,
        left=left,
        violations=await _violations(lane),
    )


async def _tell(lane: Lane, story: Story, scene: Scene, process: Broken) -> bool:
    """Tell the story until the process breaks, and let it break; whether it came to the point."""
    telling = asyncio.create_task(_then(story, scene))
    reaching = asyncio.create_task(process.reached.wait())
    failing = asyncio.create_task(_failed(telling))
    try:
        waited = {reaching, failing}
        await asyncio.wait(waited, timeout=_REACHED_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        if process.reached.is_set():
            lane.thaw(story.line)
            await process.break_down()
            await telling
    finally:
        lane.thaw(story.line)
        for task in (telling, reaching, failing):
            task.cancel()
    if telling.done() and not telling.cancelled() and (failure := telling.exception()):
        raise failure
    return process.reached.is_set()


async def _then(story: Story, scene: Scene) -> None:
    await story.then(scene)


async def _failed(telling: asyncio.Task[None]) -> None:
    """Wait until a story has failed, for ever if it does not."""
    await asyncio.wait({telling})
    if not telling.exception():
        await asyncio.Event().wait()


async def _ended(story: Story, scene: Scene) -> None:
    """Wait until the order has ended as it should, or has not within the time for healing."""
    if story.ends:
        with suppress(TimeoutError):
            async with asyncio.timeout(healing.WITHIN_S):
                await scene.until(*story.ends)


async def _status(scene: Scene) -> str:
    if not scene.order:
        return ""
    [(status,)] = await scene.sql("SELECT status FROM orders WHERE id = %s", scene.order)
    return str(status)


def _excuse(entries: list[Entry], begin: int) -> None:
    """Take out the one answer in which the exception that we raised ourselves became a 500."""
    for n, entry in enumerate(entries[begin:], begin):
        spoiled = [tried for tried in entry.tries if tried.status == _INTERNAL_ERROR]
        if spoiled:
            tries: list[Try] = list(entry.tries)
            tries.remove(spoiled[0])
            entries[n] = msgspec.structs.replace(entry, tries=tries)
            return


async def _violations(lane: Lane) -> list[Violation]:
    """Check the whole lane; what an earlier case broke is not told again."""
    async with books.opened(lane.env["DATABASE_URL"]) as connection:
        writes = await witness.hear(connection)
    found = checks.check(
        await evidence.gather(
            lane.env["DATABASE_URL"],
            lane.sandbox,
            history=lane.history,
            stocked=lane.stocked,
            writes=writes,
        )
    )
    new = [one for one in found if (one.invariant, one.subject) not in lane.known]
    lane.known.update((one.invariant, one.subject) for one in new)
    return new
