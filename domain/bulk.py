"""Bulks: one action on all tasks that match a filter, and which of these are left out and why."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import ClassVar

import msgspec

from domain.refusal import Refusal
from domain.task import AT_THE_GATEWAY, Kind, State


class BulkAction(StrEnum):
    REPLAY = "replay"  # dead: tried afresh; scheduled: tried now
    CANCEL = "cancel"  # ready: not done
    DISCARD = "discard"  # dead: given up for good
    UNDO = "undo"  # what another bulk changed is as it was, where nothing came of it yet


class BulkState(StrEnum):
    RUNNING = "running"  # the clocks carry it out
    DONE = "done"
    CANCELLED = "cancelled"  # a person stopped it; what it had changed stays so


class LeftOut(StrEnum):
    WRONG_STATE = "wrong_state"
    NEWER = "newer"
    DUE = "due"
    AT_GATEWAY = "at_gateway"
    NEEDED = "needed"


WHY: Mapping[LeftOut, str] = {
    LeftOut.WRONG_STATE: "The action is for tasks in another state.",
    LeftOut.NEWER: "They are of a newer release, whose processes know what they are.",
    LeftOut.DUE: "They are due already, and wait for a worker only.",
    LeftOut.AT_GATEWAY: "A payment of their order is sent and its outcome open: decide on each.",
    LeftOut.NEEDED: "What they are for would wait for ever: cancel that, or decide on each task.",
}

# What an order, or an import, cannot go on, or end, without.
_NEEDED = AT_THE_GATEWAY | {
    Kind.RESERVE,
    Kind.FILL_BACKORDERS,
    Kind.UNDO_PAYMENT,
    Kind.IMPORT,
}
# What may meet an open payment of its order.
AT_MONEY = AT_THE_GATEWAY | {Kind.UNDO_PAYMENT}
ACTS_ON: Mapping[BulkAction, frozenset[State]] = {
    BulkAction.REPLAY: frozenset({State.DEAD, State.READY}),
    BulkAction.CANCEL: frozenset({State.READY}),
    BulkAction.DISCARD: frozenset({State.DEAD}),
}


# Ids that are told of tasks left out.
SAMPLE_MAX = 5


class BulkOver(Refusal):
    """The bulk does not run any more, or cannot be undone."""

    code: ClassVar[str] = "bulk_over"


class Alike(msgspec.Struct, frozen=True):
    """What tasks have in common that a judgment goes by.

    `paying` says that a payment of their order is sent and its outcome is open.
    """

    kind: str
    state: State
    due: bool
    paying: bool


class Group(msgspec.Struct, frozen=True):
    """Tasks that are judged alike, with the ids of some."""

    alike: Alike
    count: int
    task_ids: Sequence[int]


class LeftOutView(msgspec.Struct, frozen=True):
    """Tasks that are left out, why, and the ids of some."""

    reason: LeftOut
    why: str
    count: int
    task_ids: Sequence[int]


class Judged(msgspec.Struct, frozen=True):
    """How many match, how many of these are safe, and which are left out."""

    matched: int
    safe: int
    left_out: Sequence[LeftOutView]


def judge(action: BulkAction, task: Alike) -> LeftOut | None:
    """Decide why a bulk leaves a task out; None if it is safe.

    Left out is also what one by one is allowed: a person who acts on all that match has not
    looked at each.
    """
    if task.state not in ACTS_ON[action]:
        return LeftOut.WRONG_STATE
    if task.kind not in set(Kind):
        return LeftOut.NEWER
    if task.paying and Kind(task.kind) in AT_MONEY:
        return LeftOut.AT_GATEWAY
    if action is BulkAction.REPLAY:
        return LeftOut.DUE if task.state is State.READY and task.due else None
    return LeftOut.NEEDED if Kind(task.kind) in _NEEDED else None


def sum_up(action: BulkAction, groups: Sequence[Group]) -> Judged:
    """Judge all that match, as they are now."""
    left_out: dict[LeftOut, LeftOutView] = {}
    for group in groups:
        reason = judge(action, group.alike)
        if reason is not None:
            known = left_out.get(reason, LeftOutView(reason, WHY[reason], 0, ()))
            ids = sorted([*known.task_ids, *group.task_ids])[:SAMPLE_MAX]
            left_out[reason] = LeftOutView(reason, WHY[reason], known.count + group.count, ids)
    matched = sum(group.count for group in groups)
    safe = matched - sum(one.count for one in left_out.values())
    return Judged(matched, safe, list(left_out.values()))
