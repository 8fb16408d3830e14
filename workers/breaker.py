"""Breakers: a payment gateway that keeps failing is left alone for a while, then tried once."""

import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import msgspec
from pybreaker import (
    STATE_CLOSED,
    STATE_HALF_OPEN,
    STATE_OPEN,
    CircuitBreaker,
    CircuitBreakerError,
    CircuitBreakerListener,
    CircuitBreakerState,
    CircuitMemoryStorage,
)

from domain.payment import Outcome, Unknown, Unsent
from ops.config import Settings
from ops.telemetry import metrics

log = logging.getLogger(__name__)

# Among fewer calls one or two bad ones are half of all; a gateway that is really down shows
# there as a run of failures.
WINDOW_CALLS_MIN = 10
# Counts are kept per slot, so memory is bounded; a call is forgotten a thirtieth too early at most.
WINDOW_SLOTS = 30
# A probe takes about as long as any call: after a second its answer has mostly come.
PROBE_WAIT_S = 1.0

READINGS = {STATE_CLOSED: 0, STATE_HALF_OPEN: 1, STATE_OPEN: 2}

Clock = Callable[[], float]
# Told gateway, old and new state: "closed", "half-open" or "open".
OnChange = Callable[[str, str, str], None]


class Refused(msgspec.Struct, frozen=True):
    """The call was not made; after `wait_s` one may be."""

    wait_s: float


class _Failed(Exception):
    """Carries a failing outcome out through the breaker that counts it."""

    def __init__(self, outcome: Outcome, admitted: CircuitBreakerState) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.admitted = admitted


class Breaker(CircuitBreaker):
    """The breaker of one gateway in this process; all its calls share one event loop.

    `on_change` is told in the middle of a change: it takes note and asks the breaker nothing.
    """

    def __init__(
        self,
        gateway: str,
        settings: Settings,
        *,
        on_change: OnChange,
        clock: Clock = time.monotonic,
    ) -> None:
        self._probing = False
        self._forced: str | None = None
        self._on_change = on_change
        self._opening = _Opening(clock)
        window = _Window(settings.breaker_window_s, clock)
        super().__init__(
            fail_max=settings.breaker_failures_max,
            reset_timeout=settings.breaker_open_s,
            state_storage=self._opening,
            name=gateway,
            listeners=[_Watch(window, settings.breaker_failure_rate, on_change)],
            throw_new_error_on_trip=False,
        )
        metrics.breaker_state.labels(gateway).set(READINGS[STATE_CLOSED])

    def is_open(self) -> bool:
        """Say whether a call made now would be refused; asking takes no probe."""
        return self.wait_s() > 0

    @property
    def forced(self) -> str | None:
        """Give how a person holds it: open, closed, or None if it goes by itself."""
        return self._forced

    def force(self, forced: str | None) -> None:
        """Hold it open or closed, whatever comes of calls; None has it go by itself again.

        What it is by itself stays as it was: held, it counts no call.
        """
        if forced == self._forced:
            return
        old, self._forced = self._forced or self.current_state, forced
        new = forced or self.current_state
        gateway = str(self.name)
        if new != old:
            _count(gateway, new)
        log.warning("Breaker of gateway %s: held %s", gateway, forced or "no more")
        self._on_change(gateway, old, new)

    def wait_s(self) -> float:
        """Say how long calls will be refused; 0 if one made now goes through."""
        if self._forced is not None:
            return float(self.reset_timeout) if self._forced == STATE_OPEN else 0.0
        if self.current_state == STATE_OPEN:
            return max(0.0, self.reset_timeout - self._opening.age_s())
        return PROBE_WAIT_S if self._probing else 0.0

    @contextmanager
    def admission(self) -> Generator[CircuitBreakerState]:
        """Hold the slot of the probe if this call is one; gives the state that admitted it.

        Raises CircuitBreakerError while another call holds it: pybreaker would let all through.
        """
        admitted = self.state
        if admitted.name != STATE_HALF_OPEN:
            yield admitted
            return
        if self._probing:
            raise CircuitBreakerError("A probe is under way")
        self._probing = True
        try:
            yield admitted
        finally:
            self._probing = False

    def is_system_error(self, exception: BaseException) -> bool:
        """Count it as a failure, or raise it past the breaker so that it counts as nothing.

        So go cancellations, refusals, and failures of calls admitted before the last change.
        What pybreaker is told to exclude it takes for a success, and closes a half-open breaker.
        """
        match exception:
            case _Failed(admitted=admitted):
                counts = admitted is self.state
            case CircuitBreakerError():
                counts = False
            case _:
                counts = isinstance(exception, Exception)
        if not counts:
            raise exception
        return True

    def open(self) -> bool:
        """Open, unless it is open: a run and a rate may both be reached by the same failure."""
        return False if self.current_state == STATE_OPEN else super().open()


async def guarded(breaker: Breaker, call: Callable[[], Awaitable[Outcome]]) -> Outcome | Refused:
    """Make the call unless the breaker is open, and count what comes of it unless it is held.

    A timeout must be an outcome already: cut from outside, the call counts as nothing. An
    exception counts as a failure and is raised on.
    """
    if breaker.forced == STATE_OPEN:
        return Refused(breaker.wait_s())
    if breaker.forced == STATE_CLOSED:
        return await call()
    try:
        with breaker.calling(), breaker.admission() as admitted:
            return _answer(await call(), admitted)
    except _Failed as failed:
        return failed.outcome
    except CircuitBreakerError:
        return Refused(breaker.wait_s())


def _answer(outcome: Outcome, admitted: CircuitBreakerState) -> Outcome:
    """Pass the gateway's yes or no; raises _Failed for any other outcome."""
    match outcome:
        case Unknown(pending=False) | Unsent():
            raise _Failed(outcome, admitted)
        case _:
            return outcome


class _Opening(CircuitMemoryStorage):
    """Times how long the breaker is open by a clock that nobody sets."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(STATE_CLOSED)
        self._clock = clock
        self._since = clock()

    def age_s(self) -> float:
        return self._clock() - self._since

    @property
    def opened_at(self) -> datetime:
        """Date it back from now, as pybreaker compares it with now."""
        return datetime.now(UTC) - timedelta(seconds=self.age_s())

    @opened_at.setter
    def opened_at(self, datetime: datetime) -> None:  # noqa: ARG002 - the name is pybreaker's
        self._since = self._clock()


class _Slot(msgspec.Struct):
    number: int
    calls: int = 0
    failures: int = 0


class _Window:
    """Counts the latest calls and how many of them failed."""

    def __init__(self, window_s: float, clock: Clock) -> None:
        self._slot_s = window_s / WINDOW_SLOTS
        self._clock = clock
        self._slots: deque[_Slot] = deque()

    def count(self, *, failures: int) -> None:
        number = int(self._clock() / self._slot_s)
        while self._slots and self._slots[0].number <= number - WINDOW_SLOTS:
            _ = self._slots.popleft()
        if not self._slots or self._slots[-1].number != number:
            self._slots.append(_Slot(number))
        self._slots[-1].calls += 1
        self._slots[-1].failures += failures

    def rate(self) -> float:
        """Give the share that failed; 0 while there are too few calls to judge."""
        calls = sum(slot.calls for slot in self._slots)
        failures = sum(slot.failures for slot in self._slots)
        return failures / calls if calls >= WINDOW_CALLS_MIN else 0.0

    def clear(self) -> None:
        self._slots.clear()


class _Watch(CircuitBreakerListener):
    """Opens the breaker by the rate of failures, and tells every change of state."""

    def __init__(self, window: _Window, rate_max: float, on_change: OnChange) -> None:
        self._window = window
        self._rate_max = rate_max
        self._on_change = on_change

    def success(self, cb: CircuitBreaker) -> None:
        self._count(cb, failures=0)

    def failure(self, cb: CircuitBreaker, exc: BaseException) -> None:  # noqa: ARG002 - the name is pybreaker's
        self._count(cb, failures=1)

    def _count(self, cb: CircuitBreaker, *, failures: int) -> None:
        self._window.count(failures=failures)
        if self._window.rate() >= self._rate_max:
            _ = cb.open()

    def state_change(
        self,
        cb: CircuitBreaker,
        old_state: CircuitBreakerState | None,
        new_state: CircuitBreakerState,
    ) -> None:
        # Remembered, what opened the breaker would open it again at the first failure.
        self._window.clear()
        if isinstance(cb, Breaker) and cb.forced:
            # By a call that began before: what it is by itself is told once nobody holds it.
            return
        gateway, new = str(cb.name), new_state.name
        old = old_state.name if old_state else STATE_CLOSED
        _count(gateway, new)
        log.warning("Breaker of gateway %s: %s, was %s", gateway, new, old)
        try:
            self._on_change(gateway, old, new)
        except Exception:
            # Raised on, it would keep the breaker from changing at all.
            log.exception("The change of a breaker was not taken note of")


def _count(gateway: str, new: str) -> None:
    metrics.breaker_state.labels(gateway).set(READINGS[new])
    metrics.breaker_transitions.labels(gateway, new).inc()
