from typing import Any

import pytest

from db.ids import new_id
from domain.event import CancelReason
from domain.past import Happened, Past, fold, happened
from domain.status import Status

ONE, TWO = new_id(), new_id()
PLACED = ("order_placed", "placed", {"lines": 1, "total_minor": 1000, "currency": "GBP"})
RESERVED = ("stock_reserved", "reserved", {})
UNKNOWN = ("payment_unknown", "reserved", {"attempt_id": str(ONE), "reason": "No answer."})
PAID = ("order_paid", "paid", {"attempt_id": str(ONE), "gateway_ref": "pi", "amount_minor": 1000})
ASKED = (
    "payment_requested",
    "paid",
    {"attempt_id": str(TWO), "operation": "refund", "amount_minor": 400, "actor": "staff"},
)
REFUNDED = ("payment_refunded", "paid", {"attempt_id": str(TWO), "amount_minor": 400})
FAILED = ("payment_refused", "paid", {"attempt_id": str(TWO), "operation": "refund", "code": "no"})
CANCELLED = ("order_cancelled", "cancelled", {"reason": "staff"})

STORY = [PLACED, RESERVED, UNKNOWN, PAID, ASKED, REFUNDED, FAILED, CANCELLED]


def after(*told: tuple[str, str, dict[str, Any]]) -> Past:
    return fold(happened(*one) for one in told)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (0, Past()),
        (1, Past(1, Status.PLACED, 1000)),
        (2, Past(2, Status.RESERVED, 1000, "held")),
        (3, Past(3, Status.RESERVED, 1000, "held", waiting={ONE: "payment_unknown"})),
        (4, Past(4, Status.PAID, 1000, "committed", captured_minor=1000)),
        (
            5,
            Past(
                5,
                Status.PAID,
                1000,
                "committed",
                captured_minor=1000,
                waiting={TWO: "payment_requested"},
            ),
        ),
        (
            6,
            Past(
                6,
                Status.PAID,
                1000,
                "committed",
                captured_minor=1000,
                refunded_minor=400,
                refunds={TWO: 400},
            ),
        ),
        (7, Past(7, Status.PAID, 1000, "committed", captured_minor=1000)),
        (
            8,
            Past(
                8,
                Status.CANCELLED,
                1000,
                "released",
                captured_minor=1000,
                cancel_reason=CancelReason.STAFF,
            ),
        ),
    ],
)
def test_order_is_shown_as_it_was_after_any_event(version: int, expected: Past) -> None:
    assert after(*STORY[:version]) == expected


def test_event_of_a_newer_release_changes_the_status_alone() -> None:
    found = after(PLACED, ("order_teleported", "reserved", {"amount_minor": 5}))

    assert found == Past(2, Status.RESERVED, 1000, "held")


def test_event_of_another_shape_is_no_fact() -> None:
    assert happened("order_paid", "paid", {"amount_minor": "much"}) == Happened(Status.PAID, None)


def test_payment_that_came_late_is_held_if_it_was_to_be_authorized() -> None:
    late = ("late_payment", "cancelled", {**PAID[2]})

    told = [happened(*one) for one in (PLACED, CANCELLED, late)]

    assert fold(told).captured_minor == 1000
    assert fold(told, manual=True).authorized_minor == 1000
