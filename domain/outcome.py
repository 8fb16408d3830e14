"""Outcomes of calls: what each makes of its attempt and of the task that made the call."""

from domain.attempt import AGAIN, RETURNING, Step
from domain.funds import AttemptState
from domain.payment import (
    NOT_FOUND,
    ActionRequired,
    Declined,
    Held,
    Outcome,
    Succeeded,
    Unknown,
    Unsent,
)
from domain.status import Status
from domain.task import (
    ATTEMPTS_MAX,
    DONE,
    LOOK_AGAIN_S,
    NAMED_AGAIN_S,
    State,
    Task,
    Verdict,
    ask_later,
    retry,
)


def state_after(step: Step, outcome: Outcome) -> AttemptState:
    """Say what an outcome makes of its attempt.

    A call that never left settles nothing if an earlier one may have happened. One that waits for
    the customer does so until the gateway says otherwise: for all we know it may still succeed.
    """
    match outcome:
        case Succeeded():
            return AttemptState.SUCCEEDED
        case ActionRequired():
            return AttemptState.ACTION_REQUIRED
        case Declined():
            return AttemptState.DECLINED
        case Unknown() | Unsent() | Held() if step.attempt.state is AttemptState.ACTION_REQUIRED:
            return AttemptState.ACTION_REQUIRED
        case Unknown():
            return AttemptState.UNKNOWN
        case Unsent() | Held():
            return AttemptState.UNKNOWN if step.ask_first else AttemptState.CREATED


def is_news(step: Step, outcome: Outcome) -> bool:
    """Tell whether an outcome is to be recorded: of what was settled, only the opposite is."""
    match step.attempt.state:
        case AttemptState.SUCCEEDED:
            return isinstance(outcome, Declined)
        case AttemptState.DECLINED:
            return isinstance(outcome, Succeeded)
        case _:
            return True


def verdict(step: Step, outcome: Outcome, *, chance: float) -> Verdict:
    """Say what an outcome makes of its task; `chance` is the jitter of a retry.

    What is open is asked after for as long as it is, so that it never ends without an answer.
    """
    if step.named is not None:
        return _confirmed(step, outcome)
    return (_looked if step.again else _called)(step, outcome, chance)


def _confirmed(step: Step, outcome: Outcome) -> Verdict:
    """Decide on a look at what a person named: any answer of the gateway ends it."""
    match outcome:
        case Held(retry_s):
            return _held(step, retry_s)
        case Unknown(reason, pending=False) | Unsent(reason):
            return Verdict(State.READY, reason, NAMED_AGAIN_S, spent=False)
        case _:
            return DONE


def _looked(step: Step, outcome: Outcome, chance: float) -> Verdict:
    """Decide on a look at what is settled; one at a charge that nobody saw is repeated."""
    repeated = step.attempt.state is AttemptState.DECLINED
    match outcome:
        case Unknown(reason) | Unsent(reason) | Declined(reason) if repeated:
            unseen = isinstance(outcome, Declined) and step.overdue
            return DONE if unseen else Verdict(State.READY, reason, LOOK_AGAIN_S, spent=False)
        case Unknown(reason) | Unsent(reason):
            return retry(*_tries(step.task), error=reason, chance=chance)
        case Held(retry_s):
            return _held(step, retry_s)
        case _:
            return DONE


def _called(step: Step, outcome: Outcome, chance: float) -> Verdict:
    match outcome:
        case Succeeded():
            return DONE
        case Declined(code):
            return _refused(step, code)
        case ActionRequired():
            return ask_later(
                step.age_s,
                window_s=step.window_s,
                error="The customer has to authenticate the payment.",
            )
        case Held(retry_s):
            return _held(step, retry_s)
        case Unknown(reason) | Unsent(reason) if step.ask_first or isinstance(outcome, Unknown):
            return ask_later(step.age_s, window_s=step.window_s, error=reason)
        case Unknown(reason) | Unsent(reason):
            return retry(*_tries(step.task), error=reason, chance=chance)


def _tries(task: Task) -> tuple[int, int]:
    """Give the number of this try and of the last one.

    A task that waited was given as many tries more: they are none of this call's.
    """
    waited = max(0, task.attempts_max - ATTEMPTS_MAX[task.kind])
    return task.attempt - waited, task.attempts_max - waited


def _held(step: Step, retry_s: float) -> Verdict:
    error = f"{step.attempt.gateway} is out of service: its breaker is open."
    return Verdict(State.READY, error, retry_s, spent=False)


def _refused(step: Step, code: str) -> Verdict:
    if code == NOT_FOUND and step.wanted:
        return AGAIN
    if step.status is Status.CANCELLED and step.attempt.kind in RETURNING:
        return Verdict(State.DEAD, f"The gateway refused the {step.attempt.kind}: {code}.")
    return DONE
