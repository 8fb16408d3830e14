"""The faults that are posted on the board: what goes wrong, with what, how often and how long."""

import random
import time
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

# Half of the calls, unless told otherwise.
_FLAPPING = 0.5


class Kind(StrEnum):
    """What can go wrong; the charged-then-… ones with every operation, lookups included."""

    DELAY = "delay"  # executes after delay_s
    SLOW = "slow"  # executes at once; the answer dribbles in over delay_s
    TOLD_FIRST = "told-first"  # executes and tells its events; answers after delay_s
    ERROR_500 = "error-500"  # nothing is executed
    KEPT_500 = "kept-500"  # the execution breaks; the key keeps the 500
    RATE_LIMITED = "rate-limited"  # nothing is executed
    CHARGED_THEN_TIMEOUT = "charged-then-timeout"
    CHARGED_THEN_RESET = "charged-then-reset"
    CHARGED_THEN_500 = "charged-then-500"
    CHARGED_THEN_TRUNCATED = "charged-then-truncated"
    CHARGED_THEN_WRONG_AMOUNT = "charged-then-wrong-amount"
    CHARGED_THEN_WRONG_ATTEMPT = "charged-then-wrong-attempt"
    DOWN = "down"  # every connection is reset
    FLAPPING = "flapping"  # some are
    NOT_FOUND_YET = "not-found-yet"  # lists and searches hide a payment for delay_s
    WEBHOOK_LATE = "webhook-late"  # after delay_s
    WEBHOOK_DOUBLED = "webhook-doubled"
    WEBHOOK_SHUFFLED = "webhook-shuffled"  # each after a random part of delay_s
    WEBHOOK_FORGED = "webhook-forged"  # a forgery comes first
    WEBHOOK_OLD = "webhook-old"  # a replay with an old timestamp comes first


WEBHOOK_KINDS = frozenset(kind for kind in Kind if kind.startswith("webhook-"))
_REQUEST_KINDS = frozenset(Kind) - WEBHOOK_KINDS - {Kind.NOT_FOUND_YET}

Operation = Literal["charge", "capture", "void", "refund", "get", "search", "other", "any"]


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One posted fault; without count and seconds it lasts until it is taken down."""

    fault: Kind
    operation: Operation = "any"
    count: Annotated[int, Meta(ge=1)] | None = None
    seconds: Annotated[float, Meta(gt=0)] | None = None
    probability: Annotated[float, Meta(gt=0, le=1)] | None = None
    delay_s: Annotated[float, Meta(ge=0, le=3600)] = 1.0
    seed: int = 0


class Shown(msgspec.Struct, frozen=True):
    """A posted fault, and how often it has struck."""

    posted: Fault
    struck: int


class Board:
    """The faults in force, oldest first."""

    def __init__(self) -> None:
        self._posted: list[_Posted] = []

    def __bool__(self) -> bool:
        return bool(self._posted)

    def post(self, fault: Fault) -> None:
        """Put a fault in force."""
        self._posted.append(_Posted(fault))

    def clear(self) -> None:
        """Take every fault down."""
        self._posted.clear()

    def shown(self) -> list[Shown]:
        """Return the faults in force."""
        return [Shown(each.fault, each.struck) for each in self._in_force()]

    def strike(self, operation: str) -> Fault | None:
        """Return the fault that strikes a request, if one does."""
        return next((each.fault for each in self._striking(_REQUEST_KINDS, operation)), None)

    def strike_webhook(self) -> list[Fault]:
        """Return all faults that strike an event."""
        return [each.fault for each in self._striking(WEBHOOK_KINDS, "any")]

    def hidden_s(self) -> float:
        """Return for how long payments are not found."""
        hiding = self._striking({Kind.NOT_FOUND_YET}, "search")
        return max((each.fault.delay_s for each in hiding), default=0.0)

    def _striking(self, kinds: Iterable[Kind], operation: str) -> "Iterable[_Posted]":
        return (
            each
            for each in self._in_force()
            if each.fault.fault in kinds
            and each.fault.operation in {"any", operation}
            and each.strikes()
        )

    def _in_force(self) -> "list[_Posted]":
        self._posted = [each for each in self._posted if each.lasts()]
        return self._posted


class _Posted:
    """A posted fault's own memory."""

    def __init__(self, fault: Fault) -> None:
        self.fault, self.struck = fault, 0
        self._until = time.monotonic() + fault.seconds if fault.seconds else None
        self._random = random.Random(fault.seed)  # noqa: S311 - dice of a test, repeatable by seed
        default = _FLAPPING if fault.fault is Kind.FLAPPING else 1.0
        self._probability = default if fault.probability is None else fault.probability

    def lasts(self) -> bool:
        """Say whether it is still in force."""
        worn = self.fault.count is not None and self.struck >= self.fault.count
        return not worn and (self._until is None or time.monotonic() < self._until)

    def strikes(self) -> bool:
        """Throw the dice."""
        struck = self._random.random() < self._probability
        self.struck += struck
        return struck
