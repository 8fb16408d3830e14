"""Which work holds an order up that was cancelled, and what it brings."""

import pytest

from domain.event import CancelReason
from domain.explain import explain
from domain.explanation import Code, Facts, Owner
from domain.funds import AttemptKind, AttemptState
from domain.task import Kind, State
from tests.domain.facts import (
    ATTEMPT,
    JUST_NOW,
    ORDER,
    SOON,
    attempt,
    cancelled,
    facts,
    work,
)

REFUNDED = [attempt(), attempt(AttemptKind.REFUND)]


def _undone(*tasks: tuple[Kind, State], state: AttemptState, error: str | None = None) -> Facts:
    back = attempt(AttemptKind.REFUND, state, error=error)
    payload = {"attempt_id": str(ATTEMPT)}
    paid = attempt(id=ORDER)
    works = [work(k, s, payload=payload, last_error=error, attempt=1) for k, s in tasks]
    order = cancelled(CancelReason.CUSTOMER, had_stock=True)
    return facts(order, *works, attempts=[paid, back])


def test_refund_of_a_cancelled_order_is_told_while_it_is_under_way() -> None:
    found = explain(_undone((Kind.REFUND, State.READY), state=AttemptState.CREATED))

    assert (found.code, found.waits_for) == (Code.DUE, "the refund of 10.00 GBP")
    assert found.sentence.startswith("The cancelled order waits since ")


def test_cancelled_order_waits_for_what_is_planned_of_its_money() -> None:
    order = cancelled(CancelReason.STAFF)

    found = explain(facts(order, work(Kind.UNDO_PAYMENT), attempts=[attempt()]))

    assert (found.code, found.waits_for) == (Code.DUE, "the return of the customer's money")


def test_refund_that_the_gateway_refused_to_a_cancelled_order_waits_for_staff() -> None:
    refused = _undone((Kind.REFUND, State.DEAD), state=AttemptState.DECLINED, error="No funds.")

    found = explain(refused)

    assert (found.code, found.owner, found.action) == (
        Code.DEAD_TASK,
        Owner.STAFF,
        "POST /v1/tasks/12/replay",
    )
    assert found.waits_for == "the refund of 10.00 GBP, which stripe refused"


def test_dead_work_holds_nothing_once_the_money_is_back() -> None:
    dead = work(Kind.UNDO_PAYMENT, State.DEAD, attempt=8)

    found = explain(facts(cancelled(CancelReason.STAFF), dead, attempts=REFUNDED))

    assert found.code is Code.CANCELLED


def test_open_charge_of_a_cancelled_order_is_still_asked_after() -> None:
    asked = attempt(state=AttemptState.UNKNOWN)
    asking = work(Kind.CHARGE, run_at=SOON, attempt=1)

    found = explain(facts(cancelled(CancelReason.CUSTOMER), asking, attempts=[asked]))

    assert (found.code, found.until) == (Code.LOOKUP_SCHEDULED, SOON)


def test_charge_of_a_cancelled_order_that_never_left_is_withdrawn() -> None:
    created = attempt(state=AttemptState.CREATED)

    found = explain(facts(cancelled(CancelReason.CUSTOMER), work(Kind.CHARGE), attempts=[created]))

    assert found.waits_for == "the withdrawal of the payment of 10.00 GBP"


def test_authorization_that_ran_out_while_its_release_was_refused_holds_nothing() -> None:
    gone = attempt(AttemptKind.AUTHORIZE, id=ORDER, expires_at=JUST_NOW)
    refused = attempt(AttemptKind.VOID, AttemptState.DECLINED, error="Too late.")
    dead = work(Kind.VOID, State.DEAD, payload={"attempt_id": str(ATTEMPT)}, attempt=1)

    found = explain(facts(cancelled(CancelReason.STAFF), dead, attempts=[gone, refused]))

    assert found.code is Code.CANCELLED


@pytest.mark.parametrize("payload", [{}, {"attempt_id": str(ATTEMPT)}])
def test_money_whose_return_is_planned_afresh_is_waited_for(payload: dict[str, str]) -> None:
    not_found = attempt(AttemptKind.REFUND, AttemptState.DECLINED, error="not_found")
    waiting = work(Kind.REFUND, payload=payload)
    order = cancelled(CancelReason.CUSTOMER)

    found = explain(facts(order, waiting, attempts=[attempt(id=ORDER), not_found]))

    assert (found.code, found.waits_for) == (Code.DUE, "the return of the customer's money")
