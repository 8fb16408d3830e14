"""Payment attempts: what a payment task does next, and what an outcome makes of an attempt."""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from domain.call import KIND_OF, call_for
from domain.funds import (
    OPEN,
    TAKING,
    Attempt,
    AttemptKind,
    AttemptState,
    Payable,
    ask_refund,
    ask_void,
    funds,
    release_all,
)
from domain.payment import (
    NOT_FOUND,
    REFUND_FAILED,
    WITHDRAWN,
    Call,
    Charge,
    RefundReason,
)
from domain.status import Status
from domain.task import (
    DONE,
    LOOK_AGAIN,
    LOOK_UNTIL,
    NAMED,
    REPLAYED,
    Kind,
    State,
    Task,
    Verdict,
)

# A gateway keeps an idempotency key for a day at least (Stripe: 24 hours). After this an attempt
# is only asked after, never sent again.
KEY_KEPT = timedelta(hours=23)

# In this part of the gateway's window a call may be sent again. The rest is for what was sent
# last to show: taken for not found too early, it would be charged twice.
SENT_AGAIN = 0.25

# Another operation with the order's money is settled first; its end calls those who wait.
WAIT_S = 5.0

# So often a refund of a cancelled order fails on its way before a person has to find another way.
REFUNDS_FAILED_MAX = 3

EVERY_GATEWAY_OUT = "Every payment gateway is out of service: its breaker is open."

# The next thing to do may be chosen at once.
AGAIN = Verdict(State.READY, spent=False)


class Window(msgspec.Struct, frozen=True):
    """The longest a gateway takes to show what it did: `not found` counts only after it."""

    now: datetime
    length: timedelta

    def age(self, attempt: Attempt) -> timedelta:
        """Tell how long ago an attempt was sent."""
        return timedelta() if attempt.sent_at is None else self.now - attempt.sent_at

    def is_over(self, attempt: Attempt) -> bool:
        """Tell whether an attempt was sent longer ago than that."""
        return attempt.sent_at is not None and self.age(attempt) >= self.length


class Step(msgspec.Struct, frozen=True):
    """One call to make, for an attempt that is to be committed as sent before it."""

    task: Task
    attempt: Attempt  # as it was; CREATED if it is new
    call: Call
    status: Status  # of the order, when it was decided
    wanted: bool  # False: only asked after, and ended where it waits for the customer
    overdue: bool  # the gateway's window, or the time to look again, is over
    holds: bool  # a declined order keeps its stock for another payment method
    keyed: bool  # it may be sent again under its idempotency key
    age_s: float = 0.0  # since it was sent
    window_s: float = 0.0  # the gateway's

    @property
    def ask_first(self) -> bool:
        """Tell whether an earlier call of the attempt may have happened."""
        return self.attempt.state is not AttemptState.CREATED

    @property
    def again(self) -> bool:
        """Tell whether the attempt is settled, and only looked at again: it may turn out wrong."""
        return self.attempt.state in {AttemptState.SUCCEEDED, AttemptState.DECLINED}

    @property
    def named(self) -> str | None:
        """Give what a person says the gateway calls the payment; None if nobody said so."""
        return self.call.named if isinstance(self.call, Charge) else None


class Withdrawal(msgspec.Struct, frozen=True):
    """An attempt that is not needed any more and never reached the gateway."""

    task: Task
    attempt_id: UUID


class Plan(msgspec.Struct, frozen=True):
    """An attempt to be written with a task of its own; `more` calls for another one after it."""

    task: Task
    attempt: Attempt
    more: bool = False


Decision = Step | Withdrawal | Plan | Verdict

_CREATED = AttemptState.CREATED

# What gives money back, and so is owed to a cancelled order.
RETURNING = frozenset({AttemptKind.VOID, AttemptKind.REFUND})


def next_step(
    task: Task, payable: Payable, *, fresh: UUID, gateway: str | None, window: Window
) -> Decision:
    """Choose what a payment task has to do; a Verdict if no call is to be made.

    `fresh` is the id of the attempt, should a new one be needed, and `gateway` where a new
    charge goes: None if none can take it now.
    """
    if LOOK_AGAIN in task.payload:
        return _look_again(task, payable, window)
    if NAMED in task.payload:
        return _confirm(task, payable, window)
    match task.kind:
        case Kind.CHARGE:
            return _charge(task, payable, fresh, gateway, window)
        case Kind.UNDO_PAYMENT:
            return _undo(task, payable, fresh)
        case Kind.REFUND if "attempt_id" not in task.payload:
            # The previous release wrote it for a cancelled order, before a refund had its attempt.
            return _undo(task, payable, fresh)
        case _:
            return _asked_for(task, payable, fresh, window)


def _look_again(task: Task, payable: Payable, window: Window) -> Decision:
    """Look at what was settled, and may show itself otherwise later."""
    attempt = payable.get(UUID(task.payload["attempt_id"]))
    if attempt is None or attempt.state is AttemptState.CREATED:
        return DONE
    if attempt.state in OPEN:
        return _wait(f"The {attempt.kind} of this order is not settled.")
    if not _may_be_wrong(attempt, payable):
        return DONE
    until = task.payload.get(LOOK_UNTIL)
    over = until is not None and datetime.fromisoformat(until) <= window.now
    step = _step(task, payable, attempt, window, wanted=False)
    return msgspec.structs.replace(step, overdue=over)


def _confirm(task: Task, payable: Payable, window: Window) -> Decision:
    """Look up a charge by the name that a person gave, which moves nothing until it is confirmed.

    By whatever else the charge was settled meanwhile, the word is not needed any more.
    """
    attempt = payable.get(UUID(task.payload["attempt_id"]))
    if attempt is None or attempt.state not in OPEN:
        return DONE
    step = _step(task, payable, attempt, window, wanted=False)
    if not isinstance(step.call, Charge):
        return DONE
    call = msgspec.structs.replace(step.call, named=task.payload[NAMED])
    return msgspec.structs.replace(step, call=call)


def _may_be_wrong(attempt: Attempt, payable: Payable) -> bool:
    """Tell whether it is a refund, which may fail at the bank, or a charge that nobody saw."""
    if attempt.kind is AttemptKind.REFUND:
        return attempt.state is AttemptState.SUCCEEDED
    closed = attempt.kind in TAKING and attempt.state is AttemptState.DECLINED
    return closed and payable.status is Status.CANCELLED and payable.taking() is None


def _charge(
    task: Task, payable: Payable, fresh: UUID, gateway: str | None, window: Window
) -> Decision:
    wanted = payable.status is Status.RESERVED
    # An order that is out of time is not charged any more: the clock ends it.
    begins = wanted and not payable.is_out_of_time(window.now)
    live = payable.taking()
    if live is None and not begins:
        return DONE
    if live is None or live.state is AttemptState.CREATED:
        if live is not None and not begins:
            return Withdrawal(task, live.id)
        if gateway is None:
            return _wait(EVERY_GATEWAY_OUT)
        # What never was sent may go to another gateway than it was meant for.
        attempt_id = fresh if live is None else live.id
        kind, amount = KIND_OF[payable.capture], payable.total.minor
        live = Attempt(attempt_id, kind, AttemptState.CREATED, amount, gateway)
    if live.state is AttemptState.SUCCEEDED:
        return DONE
    return _step(task, payable, live, window, wanted=wanted)


def _asked_for(task: Task, payable: Payable, fresh: UUID, window: Window) -> Decision:
    """Do what was written with the task: a capture, a void or a refund."""
    attempt = payable.get(UUID(task.payload["attempt_id"]))
    if attempt is None or attempt.state is AttemptState.SUCCEEDED:
        return DONE
    if attempt.state is AttemptState.DECLINED:
        owed = payable.status is Status.CANCELLED and attempt.kind in RETURNING
        return _undo(task, payable, fresh) if owed else DONE
    other = payable.unsettled() or _captured_before(attempt, payable)
    if other is not None and other.id != attempt.id:
        return _wait(f"Another {other.kind} of this order is not settled.")
    # What was captured of a cancelled order would only have to go back.
    wanted = attempt.kind is not AttemptKind.CAPTURE or payable.status is not Status.CANCELLED
    if attempt.state is AttemptState.CREATED and not wanted:
        return Withdrawal(task, attempt.id)
    if attempt.kind is AttemptKind.VOID and attempt.state is AttemptState.CREATED:
        attempt = release_all(payable, attempt)
    return _step(task, payable, attempt, window, wanted=wanted)


def _captured_before(attempt: Attempt, payable: Payable) -> Attempt | None:
    """Find a capture that goes first, since what this one releases could not be captured."""
    final = attempt.kind is AttemptKind.CAPTURE and attempt.final
    if attempt.kind is not AttemptKind.VOID and not final:
        return None
    earlier = payable.attempts[: payable.attempts.index(attempt)]
    return next((a for a in earlier if a.kind is AttemptKind.CAPTURE and a.state is _CREATED), None)


def _undo(task: Task, payable: Payable, fresh: UUID) -> Decision:
    """Give back what is held or taken; it is one thing after the other, each its own task."""
    if other := next((a for a in payable.attempts if a.state in OPEN | {_CREATED}), None):
        return _wait(f"Another {other.kind} of this order is not settled.")
    left = funds(payable.attempts)
    # What the gateway refuses to release, as it ran out, keeps nothing from being refunded.
    if left.capturable and not (left.refundable and _is_void_refused(payable)):
        return Plan(task, ask_void(payable, fresh), more=left.refundable > 0)
    if left.refundable > 0:
        if _refunds_failed(payable) >= REFUNDS_FAILED_MAX and REPLAYED not in task.payload:
            return Verdict(State.DEAD, "Refunds fail at the customer's bank: retry, or pay back.")
        reason = RefundReason.REQUESTED_BY_CUSTOMER
        return Plan(task, ask_refund(payable, fresh, amount_minor=None, reason=reason))
    return DONE


def _is_void_refused(payable: Payable) -> bool:
    return any(
        a.kind is AttemptKind.VOID
        and a.state is AttemptState.DECLINED
        and a.error not in {NOT_FOUND, WITHDRAWN}
        for a in payable.attempts
    )


def _refunds_failed(payable: Payable) -> int:
    refunds = (a for a in payable.attempts if a.kind is AttemptKind.REFUND)
    return sum((a.error or "").startswith(REFUND_FAILED) for a in refunds)


def _wait(why: str) -> Verdict:
    return Verdict(State.READY, why, WAIT_S, spent=False)


def _step(task: Task, payable: Payable, attempt: Attempt, window: Window, *, wanted: bool) -> Step:
    age = window.age(attempt)
    return Step(
        task,
        attempt,
        call_for(payable, attempt),
        payable.status,
        wanted=wanted,
        overdue=window.is_over(attempt),
        holds=payable.holds,
        keyed=age < min(KEY_KEPT, SENT_AGAIN * window.length)
        and not payable.is_out_of_time(window.now),
        age_s=age.total_seconds(),
        window_s=window.length.total_seconds(),
    )
