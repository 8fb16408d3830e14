"""What is told of orders that nothing holds up."""

import pytest

from domain.event import CancelReason, OrderCancelled
from domain.explain import explain
from domain.explanation import Code, DatedAttempt, Explanation, Owner
from domain.funds import AttemptKind, AttemptState
from domain.payment import WITHDRAWN
from domain.status import Status
from domain.stock import Short
from tests.domain.facts import (
    EARLIER,
    LATER,
    attempt,
    cancelled,
    facts,
    subject,
)

REFUNDED = [attempt(), attempt(AttemptKind.REFUND)]
AUTHORIZED = attempt(AttemptKind.AUTHORIZE, expires_at=LATER)
VOIDED = [AUTHORIZED, attempt(AttemptKind.VOID)]
NOTHING_LEFT = "none: nothing is left to do"
AT = "2026-11-21T11:00:00Z"


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (Status.SHIPPED, Code.SHIPPED, f"The order is with a carrier since {AT}"),
        (Status.DELIVERED, Code.DELIVERED, f"The order was delivered at {AT}"),
        (Status.RETURNED, Code.RETURNED, f"The order came back at {AT}"),
    ],
)
def test_order_on_its_way_and_after_waits_for_nobody(
    status: Status, code: Code, sentence: str
) -> None:
    found = explain(facts(status, attempts=[attempt()]))

    assert (found.code, found.owner, found.action) == (code, Owner.NOBODY, NOTHING_LEFT)
    assert found.sentence == f"{sentence}: 10.00 GBP captured."


def test_paid_order_waits_for_its_shipment() -> None:
    partly = attempt(AttemptKind.REFUND, amount_minor=300)

    assert explain(facts(Status.PAID, attempts=[attempt(), partly])) == Explanation(
        sentence=f"The order is paid and waits since {AT} for its shipment: 10.00 GBP captured and"
        " 3.00 GBP refunded.",
        since=EARLIER,
        owner=Owner.STAFF,
        action="hand the goods to a carrier",
        code=Code.AWAITS_SHIPMENT,
        waits_for="its shipment",
    )


@pytest.mark.parametrize(
    ("reason", "detail", "because"),
    [
        (CancelReason.CUSTOMER, None, "by the customer"),
        (
            CancelReason.PAYMENT_DECLINED,
            "lost_card",
            'because its payment was declined ("lost_card")',
        ),
        (CancelReason.EXPIRED, None, "because it was not paid in time"),
        (CancelReason.EXPIRED, "Too late.", 'because it was not paid in time ("Too late")'),
        (CancelReason.STAFF, None, "by staff"),
        (CancelReason.FRAUD, None, "by staff as fraud"),
    ],
)
def test_cancelled_order_says_why(reason: CancelReason, detail: str | None, because: str) -> None:
    found = explain(facts(cancelled(reason, detail)))

    assert found.sentence == (
        f"The order was cancelled at {AT} {because}: no money was taken, and it held no stock."
    )
    assert (found.code, found.owner) == (Code.CANCELLED, Owner.NOBODY)
    assert (found.waits_for, found.action) == ("nothing", NOTHING_LEFT)


def test_order_without_stock_names_what_was_missing() -> None:
    short = (Short("TEA", 3, 1), Short("CUP", 2, 0))
    told = OrderCancelled(CancelReason.OUT_OF_STOCK, short=short)

    assert explain(facts(subject(Status.CANCELLED, cancelled=told))).sentence == (
        f"The order was cancelled at {AT} because stock was short (3 of TEA wanted and 1 for sale,"
        " 2 of CUP wanted and 0 for sale): no money was taken, and it held no stock."
    )


def test_cancelled_order_says_what_became_of_its_money_and_stock() -> None:
    order = cancelled(CancelReason.CUSTOMER, had_stock=True)

    refunded = explain(facts(order, attempts=REFUNDED))
    voided = explain(facts(order, attempts=VOIDED))

    assert refunded.sentence.endswith(
        ": 10.00 GBP captured and 10.00 GBP refunded, and its stock is for sale again."
    )
    assert voided.sentence.endswith(": 10.00 GBP released, and its stock is for sale again.")


@pytest.mark.parametrize("kind", [AttemptKind.CAPTURE, AttemptKind.VOID, AttemptKind.REFUND])
def test_what_was_asked_for_last_and_not_made_is_told(kind: AttemptKind) -> None:
    was = {"amount_minor": 400, "error": "charge_disputed"}
    failed = attempt(kind, AttemptState.DECLINED, **was)
    withdrawn = attempt(kind, AttemptState.DECLINED, amount_minor=400, error=WITHDRAWN)
    made = attempt(kind, amount_minor=400)
    told = f', but its {kind} of 4.00 GBP was not made ("charge_disputed")'

    def sentence(status: Status, *asked: DatedAttempt) -> str:
        return explain(facts(status, attempts=[attempt(), *asked])).sentence

    assert sentence(Status.PAID, failed).endswith(f"10.00 GBP captured{told}.")
    assert told in sentence(Status.SHIPPED, failed)
    for asked in ([failed, made], [withdrawn]):
        assert "was not made" not in sentence(Status.SHIPPED, *asked)
