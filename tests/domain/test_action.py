"""Actions: what an order allows in each status, and with each state of its money and work."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.action import READING, Action, Work, actions
from domain.attempt import Window
from domain.funds import Attempt, AttemptKind, AttemptState, Payable
from domain.status import Status
from tests.builders import a_payable, an_attempt

NOW = datetime(2026, 11, 21, tzinfo=UTC)
HOUR = timedelta(hours=1)
OWNED = Work(owned=True)

CHARGED = an_attempt()
HELD = an_attempt(AttemptKind.AUTHORIZE)
DECLINED = an_attempt(state=AttemptState.DECLINED)
LOST = an_attempt(state=AttemptState.UNKNOWN, sent_at=NOW - 2 * HOUR)
LATELY = an_attempt(state=AttemptState.UNKNOWN, sent_at=NOW - HOUR / 2)
REFUNDED = an_attempt(AttemptKind.REFUND)
PART = an_attempt(AttemptKind.REFUND, amount_minor=400)


def open_to(
    payable: Payable, work: Work = OWNED, *, refund_max_minor: int | None = None
) -> set[str]:
    """What the state allows besides reading."""
    found = actions(payable, work, Window(NOW, HOUR), refund_max_minor=refund_max_minor)
    assert found >= READING
    return {action.value for action in found - READING}


@pytest.mark.parametrize(
    ("status", "attempts", "expected"),
    [
        (Status.PLACED, (), {"cancel"}),
        (Status.BACKORDERED, (), {"cancel"}),
        (Status.RESERVED, (), {"cancel"}),
        (Status.REVIEW, (LOST,), {"cancel", "resolve"}),
        (Status.PAID, (CHARGED,), {"cancel", "refunds"}),
        (Status.PAID, (HELD,), {"cancel", "capture", "void"}),
        (Status.PAID, (CHARGED, PART), {"cancel", "refunds"}),
        (Status.PAID, (CHARGED, REFUNDED), {"cancel"}),
        (Status.SHIPPED, (CHARGED,), {"refunds"}),
        (Status.SHIPPED, (HELD,), {"capture", "void"}),
        (Status.DELIVERED, (CHARGED,), {"refunds"}),
        (Status.RETURNED, (CHARGED, REFUNDED), set[str]()),
        (Status.CANCELLED, (), set[str]()),
        (Status.CANCELLED, (CHARGED, REFUNDED), set[str]()),
        (Status.CANCELLED, (CHARGED,), {"write-off"}),
        (Status.CANCELLED, (LOST,), {"resolve"}),
        (Status.CANCELLED, (LATELY,), set[str]()),
    ],
)
def test_each_status_allows_what_would_be_accepted(
    status: Status, attempts: tuple[Attempt, ...], expected: set[str]
) -> None:
    assert open_to(a_payable(*attempts, status=status)) == expected


@pytest.mark.parametrize(
    ("attempts", "work", "holds", "left", "allowed"),
    [
        ((DECLINED,), OWNED, True, HOUR, True),
        ((DECLINED,), OWNED, False, HOUR, False),
        ((DECLINED,), OWNED, True, -HOUR, False),
        ((DECLINED,), Work(owned=True, charging=True), True, HOUR, False),
        ((DECLINED, LATELY), OWNED, True, HOUR, False),
        ((), OWNED, True, HOUR, False),
    ],
)
def test_a_declined_order_that_is_held_takes_another_payment_method(
    attempts: tuple[Attempt, ...], work: Work, *, holds: bool, left: timedelta, allowed: bool
) -> None:
    until = NOW + left
    payable = a_payable(*attempts, status=Status.RESERVED, holds=holds, reserved_until=until)

    assert ("payment-method" in open_to(payable, work)) == allowed


def test_nobody_resolves_while_the_gateway_is_asked() -> None:
    payable = a_payable(LOST, status=Status.REVIEW)

    assert "resolve" not in open_to(payable, Work(owned=True, asking=True))


def test_nothing_is_written_off_while_it_may_be_on_its_way_back() -> None:
    payable = a_payable(CHARGED, status=Status.CANCELLED)

    assert "write-off" not in open_to(payable, Work(owned=True, returning=True))


@pytest.mark.parametrize(("limit", "allowed"), [(400, False), (401, True)])
def test_refunds_are_open_as_long_as_the_limit_leaves_one_minor_unit(
    limit: int, *, allowed: bool
) -> None:
    found = open_to(a_payable(CHARGED, PART), refund_max_minor=limit)

    assert ("refunds" in found) == allowed


@pytest.mark.parametrize(("limit", "allowed"), [(999, False), (1000, True)])
def test_cancelling_is_open_if_the_limit_lets_all_go_back(limit: int, *, allowed: bool) -> None:
    found = open_to(a_payable(CHARGED, PART), refund_max_minor=limit)

    assert ("cancel" in found) == allowed
    assert "cancel" in open_to(a_payable(HELD), refund_max_minor=limit)


@pytest.mark.parametrize("status", Status)
def test_an_order_that_no_account_has_is_claimed_in_any_status(status: Status) -> None:
    assert Action.CLAIM.value in open_to(a_payable(status=status), Work())
    assert Action.CLAIM.value not in open_to(a_payable(status=status), OWNED)
