"""Limits on how often one may ask: GCRA, which keeps one moment per asker, and no list."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from domain.principal import Tier

_US_PER_S = 1_000_000
# Tiers are promised by the minute.
TIER_WINDOW_S = 60
# Passwords are guessed by the hour.
ATTEMPT_WINDOW_S = 3600
# A household or an office shares an address, and a bot changes accounts at one.
ACCOUNTS_PER_ADDRESS = 5


class Limit(msgspec.Struct, frozen=True):
    """So many requests in any window, all at once if one likes; `name` is its policy's."""

    name: str
    quota: int
    window_s: int

    @property
    def interval_us(self) -> int:
        """Time in which one request is won back."""
        return self.window_s * _US_PER_S // self.quota

    @property
    def depth_us(self) -> int:
        """How far ahead of the clock the quota may be spent."""
        return self.interval_us * self.quota


class Verdict(msgspec.Struct, frozen=True):
    """Whether a request may pass, and what is left of the limit afterwards."""

    limit: Limit
    allowed: bool
    remaining: int
    whole_in_us: int  # until the quota is whole again
    retry_in_us: int  # until the next request passes; 0 if one would now


def take(limit: Limit, spent_until_us: int, now_us: int) -> tuple[Verdict, int]:
    """Decide on one request; the other value is to be kept as `spent_until_us` for the next.

    It is the moment at which the quota is whole again ("theoretical arrival time"). One that is
    further ahead than a spent quota comes of a clock that was set back: it counts as that.
    """
    spent_us = min(max(spent_until_us - now_us, 0), limit.depth_us)
    allowed = spent_us + limit.interval_us <= limit.depth_us
    if allowed:
        spent_us += limit.interval_us
    left_us = limit.depth_us - spent_us
    retry_us = max(limit.interval_us - left_us, 0)
    verdict = Verdict(limit, allowed, left_us // limit.interval_us, spent_us, retry_us)
    return verdict, now_us + spent_us


class Action(StrEnum):
    """What is limited more strictly than everything else, by account and by address."""

    LOGIN = "login"
    REGISTER = "register"
    RESET = "reset"


def of_tiers(quotas: Mapping[Tier, int]) -> Mapping[Tier, Limit]:
    """Make the limits of the tiers; a quota of 0 stands for no limit."""
    return {t: Limit("default", quota, TIER_WINDOW_S) for t, quota in quotas.items() if quota}


def of_actions(quotas: Mapping[Action, int]) -> Mapping[Action, tuple[Limit, Limit]]:
    """Make the limits of an account and of an address; a quota of 0 stands for no limit."""
    return {
        action: (
            Limit(f"{action}-account", quota, ATTEMPT_WINDOW_S),
            Limit(f"{action}-address", quota * ACCOUNTS_PER_ADDRESS, ATTEMPT_WINDOW_S),
        )
        for action, quota in quotas.items()
        if quota
    }
