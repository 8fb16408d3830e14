"""Stamps of a storm of price changes: which change a page has seen, and how old that makes it."""

import bisect
import time
from collections.abc import Generator
from contextlib import contextmanager

# What we promise, and what while Postgres, which would tell, is away.
BOUND_S, OUTAGE_BOUND_S = 1.0, 5.0
_SHOWN_MAX = 20


class Stamps:
    """Prices that only rise, when each was known to be committed, and who was shown older ones."""

    def __init__(self) -> None:
        self.changes = self.answers = 0
        self.oldest_s = self.oldest_in_outage_s = 0.0
        self.too_old: list[str] = []
        self._prices: dict[str, list[int]] = {}
        self._at: dict[str, list[float]] = {}
        self._outage_until = 0.0

    def changed(self, what: str, price: int) -> None:
        """Note that a price is committed: its writer was told so."""
        self._prices.setdefault(what, []).append(price)
        self._at.setdefault(what, []).append(time.monotonic())
        self.changes += 1

    def shown(self, what: str, price: int, *, asked_at: float, where: str) -> None:
        """Note what was answered to who asked then.

        It is as old as the first higher price that was committed before; one that nobody was
        told of does not count.
        """
        self.answers += 1
        next_one = bisect.bisect_right(self._prices.get(what, []), price)
        if next_one == len(self._prices.get(what, [])):
            return
        age_s = asked_at - self._at[what][next_one]
        is_outage = asked_at < self._outage_until
        if is_outage:
            self.oldest_in_outage_s = max(self.oldest_in_outage_s, age_s)
        else:
            self.oldest_s = max(self.oldest_s, age_s)
        if age_s > (OUTAGE_BOUND_S if is_outage else BOUND_S) and len(self.too_old) < _SHOWN_MAX:
            self.too_old.append(f"{where} showed {what} at {price}, {age_s:.2f} s too late")

    def last(self, what: str) -> int:
        """Give the last price that is known to be committed."""
        return self._prices[what][-1]

    @contextmanager
    def outage(self, is_outage: bool) -> Generator[None]:  # noqa: FBT001 - read at its one call
        """Expect no more than what holds while Postgres is away, if it is, and just after."""
        if is_outage:
            self._outage_until = float("inf")
        yield
        if is_outage:
            self._outage_until = time.monotonic() + BOUND_S
