import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.limit import Action, Limit, Verdict, of_actions, of_tiers, take
from domain.principal import Tier

S = 1_000_000
FIVE_A_MINUTE = Limit("five", 5, 60)


def taken(limit: Limit, moments: list[int]) -> list[Verdict]:
    """Ask at each moment in turn."""
    spent_until_us, verdicts = 0, list[Verdict]()
    for now_us in moments:
        verdict, spent_until_us = take(limit, spent_until_us, now_us)
        verdicts.append(verdict)
    return verdicts


def test_a_quota_may_be_spent_at_once_and_not_one_more() -> None:
    verdicts = taken(FIVE_A_MINUTE, [7 * S] * 6)

    assert [v.allowed for v in verdicts] == [True] * 5 + [False]
    assert [v.remaining for v in verdicts] == [4, 3, 2, 1, 0, 0]


def test_what_is_spent_comes_back_bit_by_bit() -> None:
    verdicts = taken(FIVE_A_MINUTE, [0] * 5 + [12 * S - 1, 12 * S, 12 * S, 36 * S, 36 * S, 36 * S])

    assert [v.allowed for v in verdicts[5:]] == [False, True, False, True, True, False]


def test_who_is_refused_is_told_when_to_come_back_and_is_let_in_then() -> None:
    *_, refused = taken(FIVE_A_MINUTE, [0] * 5 + [S])
    assert refused.retry_in_us == 11 * S
    assert refused.whole_in_us == 59 * S

    early, right = (
        taken(FIVE_A_MINUTE, [0] * 5 + [S, S + refused.retry_in_us - less]) for less in (1, 0)
    )

    assert not early[-1].allowed
    assert right[-1].allowed


def test_to_be_refused_costs_nothing() -> None:
    verdicts = taken(FIVE_A_MINUTE, [0] * 500 + [12 * S])

    assert verdicts[-1].allowed


@pytest.mark.parametrize("ahead_s", [61, 10**6])
def test_a_clock_that_was_set_back_locks_nobody_out_for_longer_than_the_window(
    ahead_s: int,
) -> None:
    verdict, spent_until_us = take(FIVE_A_MINUTE, ahead_s * S, 0)

    assert (verdict.allowed, verdict.retry_in_us, spent_until_us) == (False, 12 * S, 60 * S)


limits = st.builds(Limit, st.just("any"), st.integers(1, 10**6), st.sampled_from([1, 60, 3600]))


@given(limits, st.lists(st.integers(0, 5 * 60 * S), max_size=60).map(sorted))
def test_never_do_more_pass_in_a_window_than_its_quota_and_what_came_back(
    limit: Limit, moments: list[int]
) -> None:
    passed = [
        now for now, verdict in zip(moments, taken(limit, moments), strict=True) if verdict.allowed
    ]

    for n, first in enumerate(passed):
        for m, last in enumerate(passed[n:], n):
            assert m - n + 1 <= limit.quota + (last - first) // limit.interval_us


@given(limits, st.lists(st.integers(0, 5 * 60 * S), max_size=60).map(sorted))
def test_whoever_spends_less_than_the_quota_is_never_refused(
    limit: Limit, moments: list[int]
) -> None:
    assert all(verdict.allowed for verdict in taken(limit, moments)[: limit.quota])


def test_a_quota_of_nothing_is_no_limit() -> None:
    assert of_tiers({Tier.ANONYMOUS: 100, Tier.MACHINE: 0}) == {
        Tier.ANONYMOUS: Limit("default", 100, 60)
    }
    assert of_actions({Action.LOGIN: 0}) == {}


def test_an_address_has_more_attempts_than_an_account() -> None:
    of_account, of_address = of_actions({Action.LOGIN: 20})[Action.LOGIN]

    assert (of_account.name, of_account.quota) == ("login-account", 20)
    assert (of_address.name, of_address.quota) == ("login-address", 100)
