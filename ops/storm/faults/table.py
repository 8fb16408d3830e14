"""Every fault by its name."""

from collections.abc import Mapping

from ops.storm.faults import clocks, disk, gateway, postgres, processes, redis, tasks, zombies
from ops.storm.faults.fault import Fault
from ops.storm.plan import Kind

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for module in (processes, zombies, clocks, redis, postgres, disk, gateway, tasks)
    for fault in module.FAULTS
}


class UnknownFault(ValueError):
    """There is no fault of that name; the message lists those that are."""


def chosen(names: str) -> list[Kind]:
    """Read FAULTS: `all`, `none`, or names with commas. Raises UnknownFault."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if wanted == ["none"]:
        return []
    if wanted in ([], ["all"]):
        wanted = list(FAULTS)
    if unknown := [name for name in wanted if name not in FAULTS]:
        raise UnknownFault(
            f"No fault is named {', '.join(unknown)}: there are {', '.join(FAULTS)}."
        )
    return [Kind(name, FAULTS[name].lane, FAULTS[name].seconds) for name in wanted]
