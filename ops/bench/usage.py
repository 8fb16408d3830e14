"""What processes use: processor time and memory of a process and all that descend from it."""

from collections.abc import Mapping

import msgspec
import psutil


class Usage(msgspec.Struct, frozen=True):
    """`rss_mb` is that of the largest single process."""

    cpu_s: float
    rss_mb: float


def usage(pid: int) -> Usage:
    """Measure a process with its descendants; the time of dead ones counts once awaited."""
    root = psutil.Process(pid)
    # Children first: one that dies meanwhile is then found in its parent's account.
    family = [*root.children(recursive=True), root]
    found = [one for one in map(_one, family) if one is not None]
    return Usage(sum(one.cpu_s for one in found), max(one.rss_mb for one in found))


def usages(pids: Mapping[str, int]) -> dict[str, Usage]:
    """Measure one process each by its name."""
    return {name: usage(pid) for name, pid in pids.items()}


def spent(before: Mapping[str, Usage], after: Mapping[str, Usage]) -> dict[str, float]:
    """Seconds of processor time between two measurements, by name."""
    return {name: now.cpu_s - before[name].cpu_s for name, now in after.items()}


def _one(process: psutil.Process) -> Usage | None:
    try:
        with process.oneshot():
            times, memory = process.cpu_times(), process.memory_info()
    except psutil.NoSuchProcess:
        return None
    awaited = times.children_user + times.children_system
    return Usage(times.user + times.system + awaited, memory.rss / 1e6)
