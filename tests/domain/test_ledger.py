"""What is booked for money that moved: every transaction sums to zero."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.funds import AttemptKind
from domain.ledger import ELSEWHERE, Account, book

AMOUNTS = st.integers(1, 99_999_999)
FEES = st.integers(0, 99_999_999)


@given(st.sampled_from(AttemptKind), AMOUNTS, FEES)
@settings(deadline=None)
def test_entries_sum_to_zero_and_none_is_zero(kind: AttemptKind, amount: int, fee: int) -> None:
    entries = book(kind, amount, fee)

    assert sum(entries.values()) == 0
    assert 0 not in entries.values()


@pytest.mark.parametrize("kind", [AttemptKind.CHARGE, AttemptKind.CAPTURE])
def test_what_is_taken_is_cash_less_the_fee_and_owed_no_more(kind: AttemptKind) -> None:
    assert book(kind, 1000, 29) == {
        Account.GATEWAY_CASH: 971,
        Account.FEES: 29,
        Account.RECEIVABLE: -1000,
    }
    assert book(kind, 1000, 0) == {Account.GATEWAY_CASH: 1000, Account.RECEIVABLE: -1000}


def test_fee_of_the_whole_amount_leaves_no_cash() -> None:
    assert book(AttemptKind.CHARGE, 20, 20) == {Account.FEES: 20, Account.RECEIVABLE: -20}


def test_refund_is_paid_from_cash() -> None:
    assert book(AttemptKind.REFUND, 300, 0) == {
        Account.GATEWAY_CASH: -300,
        Account.REFUNDS: 300,
    }


def test_refund_by_other_means_leaves_the_cash_of_the_gateway() -> None:
    assert book(AttemptKind.REFUND, 300, 0, gateway=ELSEWHERE) == {
        Account.SETTLED_ELSEWHERE: -300,
        Account.REFUNDS: 300,
    }


@pytest.mark.parametrize("kind", [AttemptKind.AUTHORIZE, AttemptKind.VOID])
def test_money_that_is_only_held_or_let_go_is_not_booked(kind: AttemptKind) -> None:
    assert book(kind, 1000, 0) == {}
