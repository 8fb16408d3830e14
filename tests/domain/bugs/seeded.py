"""Six bugs, each one guard of the payments taken away, to prove that the schedules find such."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from domain.attempt import Decision, Step
from domain.event import LatePayment
from domain.funds import Attempt, AttemptKind, AttemptState, Payable
from domain.order import Change
from domain.payment import Charge, Declined, Outcome, Unknown
from domain.task import State, Task
from tests.domain.machine.records import Row
from tests.domain.machine.world import Decisions

RIGHT = Decisions()

replace = msgspec.structs.replace


def _new_key(*args: Any, **given: Any) -> Decision:
    """Send a charge again under another key: the gateway takes it for another charge."""
    decided = RIGHT.next_step(*args, **given)
    if isinstance(decided, Step) and isinstance(decided.call, Charge) and decided.ask_first:
        return replace(decided, call=replace(decided.call, attempt_id=given["fresh"]))
    return decided


def _no(outcome: Outcome) -> Outcome:
    return Declined(outcome.reason) if isinstance(outcome, Unknown) else outcome


def _settle_unknown(was: Any, attempt: Any, outcome: Outcome, **given: Any) -> Change | None:
    return RIGHT.settle(was, attempt, _no(outcome), **given)


def _state_of_unknown(step: Step, outcome: Outcome) -> AttemptState:
    return RIGHT.state_after(step, _no(outcome))


def _verdict_on_unknown(step: Step, outcome: Outcome, **given: Any) -> Any:
    return RIGHT.verdict(step, _no(outcome), **given)


def _never_waiting(*args: Any, **given: Any) -> Decision:
    """Count `not found` at once: what is still to be shown is done again."""
    decided = RIGHT.next_step(*args, **given)
    return replace(decided, overdue=True) if isinstance(decided, Step) else decided


def _keeping_late_money(*args: Any, **given: Any) -> Change | None:
    change = RIGHT.settle(*args, **given)
    late = change is not None and any(isinstance(e, LatePayment) for e in change.events)
    return replace(change, tasks=()) if change is not None and late else change


def _unfenced(row: Row, _task: Task) -> bool:
    return row.state is State.RUNNING


def _forgetting_refunds_under_way(payable: Payable, *args: Any, **given: Any) -> Attempt:
    known = tuple(
        a
        for a in payable.attempts
        if a.kind is not AttemptKind.REFUND or a.state is AttemptState.SUCCEEDED
    )
    return RIGHT.ask_refund(replace(payable, attempts=known), *args, **given)


_but = partial(replace, RIGHT)

BUGS: Mapping[str, Decisions] = {
    "a new key for every try of a charge": _but(next_step=_new_key),
    "an unknown outcome is a decline": _but(
        settle=_settle_unknown, state_after=_state_of_unknown, verdict=_verdict_on_unknown
    ),
    "not found counts inside the window": _but(next_step=_never_waiting),
    "a late success on a cancelled order stays": _but(settle=_keeping_late_money),
    "a worker that was taken over still records": _but(is_current=_unfenced),
    "refunds under way are not counted": _but(ask_refund=_forgetting_refunds_under_way),
}
