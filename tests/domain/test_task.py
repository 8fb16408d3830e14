"""When failed work is tried again, and when it is given up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.task import (
    ATTEMPTS_MAX,
    BACKOFF_MAX_S,
    LOOKUP_AFTER_S,
    QUEUE_OF,
    Kind,
    State,
    ask_later,
    retry,
)

ATTEMPTS = st.integers(1, 1000)
CHANCES = st.floats(0, 1, exclude_max=True)
HOUR_S = 3600


def test_every_kind_of_work_has_a_queue_and_an_end_of_its_attempts() -> None:
    assert set(QUEUE_OF) == set(ATTEMPTS_MAX) == set(Kind)


@given(ATTEMPTS, CHANCES)
@settings(deadline=None)
def test_retry_waits_no_longer_than_doubling_and_the_cap_allow(attempt: int, chance: float) -> None:
    verdict = retry(attempt, attempt + 1, error="why", chance=chance)

    assert verdict.state is State.READY
    assert verdict.error == "why"
    assert 0 <= verdict.delay_s <= min(2 ** (attempt - 1), BACKOFF_MAX_S)


@pytest.mark.parametrize(("attempt", "most_s"), [(1, 1), (2, 2), (5, 16), (12, 2048), (13, 3600)])
def test_jitter_spreads_retries_over_the_whole_wait(attempt: int, most_s: int) -> None:
    def delay_s(chance: float) -> float:
        return retry(attempt, 99, error="", chance=chance).delay_s

    assert [delay_s(0.0), delay_s(0.5), delay_s(0.999)] == [0, most_s / 2, 0.999 * most_s]


@given(ATTEMPTS, ATTEMPTS, CHANCES)
@settings(deadline=None)
def test_work_is_dead_with_its_reason_exactly_once_its_attempts_are_spent(
    attempt: int, attempts_max: int, chance: float
) -> None:
    end = retry(attempt, attempts_max, error="why", chance=chance)

    assert (end.state is State.DEAD, end.error) == (attempt >= attempts_max, "why")
    assert end.spent


def test_open_payment_is_asked_after_at_once_and_then_more_and_more_rarely() -> None:
    age_s, delays = 0.0, list[float]()
    for _ in range(7):
        delays.append(ask_later(age_s, error="", window_s=10**6).delay_s)
        # A lookup takes a moment itself.
        age_s += delays[-1] + 0.2

    assert delays == [5, 30, 120, 600, 3600, 3600, 3600]
    assert tuple(delays[:5]) == LOOKUP_AFTER_S


@pytest.mark.parametrize("window_s", [20.0, 900.0, 3600.0])
def test_open_payment_is_asked_after_when_the_window_of_its_gateway_ends(window_s: float) -> None:
    age_s = 0.0
    while age_s < window_s:
        age_s += ask_later(age_s, error="", window_s=window_s).delay_s

    assert window_s < age_s <= window_s + 2


@given(st.floats(0, 10**9))
@settings(deadline=None)
def test_open_payment_is_asked_after_without_end_and_without_spending_a_try(age_s: float) -> None:
    later = ask_later(age_s, error="timeout", window_s=0)

    assert (later.state, later.error, later.spent) == (State.READY, "timeout", False)
    assert LOOKUP_AFTER_S[0] <= later.delay_s <= LOOKUP_AFTER_S[-1]


@pytest.mark.parametrize("kind", [Kind.NOTIFY, Kind.VOID, Kind.REFUND])
def test_what_is_owed_to_a_customer_is_tried_for_a_day(kind: Kind) -> None:
    tries = ATTEMPTS_MAX[kind]

    in_all_s = sum(retry(n, tries, error="", chance=0.5).delay_s for n in range(1, tries))

    assert 24 * HOUR_S <= in_all_s <= 30 * HOUR_S
