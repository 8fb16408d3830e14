"""Writing off: what may be counted as given back, and what is left of it."""

import pytest

from db.ids import new_id
from domain.funds import AttemptKind, AttemptState, MoneyUnavailable, PaymentOpen
from domain.ledger import ELSEWHERE
from domain.order import IllegalMove
from domain.status import Status
from domain.write_off import Means, WriteOff, Written, write_off
from tests.builders import a_payable, an_attempt, an_order

PAID = an_attempt()
REFUSED = an_attempt(AttemptKind.REFUND, AttemptState.DECLINED)
UNSENT = an_attempt(AttemptKind.REFUND, AttemptState.CREATED)
OPEN = an_attempt(AttemptKind.REFUND, AttemptState.UNKNOWN)
PART = an_attempt(AttemptKind.REFUND, AttemptState.SUCCEEDED, 400)


def decided(
    minor: int = 1000,
    *attempts: object,
    means: Means = Means.BANK_TRANSFER,
    status: Status = Status.CANCELLED,
    returning: bool = False,
) -> Written:
    made = [a for a in (PAID, REFUSED, UNSENT, OPEN, PART) if a is PAID or a in attempts]
    said = WriteOff(minor, means, "Sent on Friday.", "staff")
    payable = a_payable(*made, status=status)
    return write_off(an_order(status=status), payable, new_id(), said, returning=returning)


@pytest.mark.parametrize(
    ("means", "gateway"),
    [
        (Means.GATEWAY, PAID.gateway),
        (Means.BANK_TRANSFER, ELSEWHERE),
        (Means.DISPUTE, ELSEWHERE),
    ],
)
def test_only_what_was_refunded_at_the_gateway_is_its_own_cash(means: Means, gateway: str) -> None:
    written = decided(1000, REFUSED, means=means)

    assert (written.attempt.gateway, written.attempt.kind) == (gateway, AttemptKind.REFUND)


@pytest.mark.parametrize(("minor", "over"), [(600, True), (599, False)])
def test_it_is_over_once_nothing_is_left(minor: int, over: bool) -> None:  # noqa: FBT001 - a case
    assert decided(minor, PART).over is over


def test_refund_that_never_was_sent_is_withdrawn() -> None:
    written = decided(1000, UNSENT)

    assert (written.withdrawn, written.over) == ((UNSENT.id,), True)


@pytest.mark.parametrize("minor", [601, 0, -1])
def test_more_than_is_left_is_refused(minor: int) -> None:
    with pytest.raises(MoneyUnavailable, match="600 GBP"):
        decided(minor, PART)


def test_money_that_the_gateway_may_be_giving_back_is_refused() -> None:
    with pytest.raises(PaymentOpen):
        decided(1000, OPEN)
    with pytest.raises(PaymentOpen):
        decided(1000, REFUSED, returning=True)


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.CANCELLED])
def test_only_a_cancelled_order_owes_its_money(status: Status) -> None:
    with pytest.raises(IllegalMove, match=status):
        decided(1000, REFUSED, status=status)
