"""What goes first of several reasons, and what is told when nothing is under way."""

from datetime import date, timedelta

import pytest

from domain.backorder import Waiting
from domain.event import CancelReason
from domain.explain import explain
from domain.explanation import Code, Explanation, Facts, Owner, QueueState
from domain.funds import AttemptKind, AttemptState
from domain.status import Status
from domain.stock import Short
from domain.task import Kind, Queue, State
from tests.domain.facts import (
    ATTEMPT,
    JUST_NOW,
    LATER,
    NOON,
    ORDER,
    SOON,
    attempt,
    cancelled,
    facts,
    subject,
    work,
)

HELD_UNTIL = subject(Status.RESERVED, reserved_until=LATER)
CONFIRMED, REGRETTED = {"notice": "order_confirmed"}, {"notice": "order_cancelled"}
AT = "2026-11-21T11:00:00Z"


def test_backordered_order_waits_for_stock() -> None:
    short, day = (Short("TEA", 3, 1),), date(2026, 12, 24)
    order = subject(Status.BACKORDERED, waiting=Waiting(short, expected_on=day))

    found = explain(facts(order))

    assert found.sentence == (
        "The order waits since 2026-11-21T11:00:00Z for stock: 3 of TEA wanted and 1 for sale, and"
        " all of it is expected on 2026-12-24."
    )
    assert (found.code, found.owner) == (Code.NO_STOCK, Owner.STAFF)
    assert found.action == "POST /v1/stock/TEA/receipts"


@pytest.mark.parametrize("waiting", [Waiting(), Waiting(scattered=True)])
@pytest.mark.parametrize(
    ("state", "code", "owner"),
    [(State.READY, Code.DUE, Owner.PLATFORM), (State.DEAD, Code.DEAD_TASK, Owner.STAFF)],
)
def test_backordered_order_whose_stock_is_there_waits_for_the_task_that_gives_it_out(
    waiting: Waiting, state: State, code: Code, owner: Owner
) -> None:
    fill = work(Kind.FILL_BACKORDERS, state)

    there = explain(facts(subject(Status.BACKORDERED, waiting=waiting), fill))
    short = explain(facts(subject(Status.BACKORDERED, waiting=Waiting((Short("A", 2, 1),))), fill))

    assert (there.code, there.owner) == (code, owner)
    assert "for its stock, which is there" in there.sentence
    assert short.code is Code.NO_STOCK


def test_backordered_order_waits_for_all_of_it_at_one_location() -> None:
    apart = explain(facts(subject(Status.BACKORDERED, waiting=Waiting(scattered=True))))

    assert (apart.code, apart.owner) == (Code.NO_SINGLE_LOCATION, Owner.STAFF)
    assert "at one location" in apart.sentence


def test_backordered_order_whose_stock_is_there_waits_for_its_reservation() -> None:
    assert explain(facts(Status.BACKORDERED, work(Kind.RESERVE))).code is Code.DUE


@pytest.mark.parametrize(
    ("told", "left", "action"),
    [
        (
            facts(Status.PLACED),
            "it is neither paid nor cancelled",
            f"POST /v1/orders/{ORDER}/cancel",
        ),
        (facts(HELD_UNTIL), "it is neither paid nor cancelled", f"POST /v1/orders/{ORDER}/cancel"),
        (
            facts(cancelled(CancelReason.STAFF), attempts=[attempt()]),
            "10.00 GBP of it are not given back",
            f"POST /v1/orders/{ORDER}/write-off",
        ),
        (
            facts(Status.PAID, attempts=[attempt(AttemptKind.REFUND, AttemptState.UNKNOWN)]),
            "its refund of 10.00 GBP is not settled",
            f"compare GET /v1/orders/{ORDER}/payments with the gateway's own books",
        ),
    ],
)
def test_order_that_nothing_moves_is_for_staff(told: Facts, left: str, action: str) -> None:
    found = explain(told)

    assert (found.code, found.owner, found.action) == (
        Code.NOTHING_UNDER_WAY,
        Owner.STAFF,
        action,
    )
    assert found.sentence.endswith(f": {left}, and nothing is under way to change that.")


def test_expired_authorization_of_a_cancelled_order_is_owed_to_nobody() -> None:
    gone = attempt(AttemptKind.AUTHORIZE, expires_at=JUST_NOW)

    assert explain(facts(cancelled(CancelReason.EXPIRED), attempts=[gone])).code is Code.CANCELLED


def test_mail_that_is_not_sent_does_not_hold_the_order() -> None:
    mail = work(Kind.NOTIFY, payload=CONFIRMED, run_at=SOON, attempt=2, last_error="Relay away.")

    found = explain(facts(Status.PAID, mail, attempts=[attempt()]))

    assert (found.code, found.owner, found.until) == (Code.MAIL_NOT_SENT, Owner.PLATFORM, SOON)
    assert found.sentence == (
        f"The order is paid and waits since {AT} for its shipment: 10.00 GBP captured; its mail"
        f' "order confirmed" is not sent since {AT}, which does not hold the order: it is tried'
        ' again at 2026-11-21T12:00:05Z, as try 2 of 20 ended with "Relay away".'
    )


def test_mail_that_was_given_up_waits_for_staff() -> None:
    mail = work(Kind.NOTIFY, State.DEAD, payload=REGRETTED, attempt=60, finished_at=JUST_NOW)

    found = explain(facts(cancelled(CancelReason.STAFF), mail))

    assert (found.code, found.owner, found.action) == (
        Code.MAIL_NOT_SENT,
        Owner.STAFF,
        "POST /v1/tasks/12/replay",
    )


def test_payment_window_that_is_over_goes_before_everything() -> None:
    order = subject(Status.RESERVED, reserved_until=JUST_NOW)
    dead = work(Kind.CHARGE, State.DEAD, attempt=20)

    assert explain(facts(order, dead)) == Explanation(
        sentence="The order was not paid by 2026-11-21T11:59:55Z: it ends within seconds and puts"
        " its stock up for sale again.",
        since=JUST_NOW,
        owner=Owner.PLATFORM,
        action="none: it goes on by itself",
        code=Code.PAYMENT_WINDOW_OVER,
        waits_for="the end of its reservation",
    )


def test_payment_window_that_nobody_ends_wants_a_clock() -> None:
    order = subject(Status.RESERVED, reserved_until=NOON - timedelta(seconds=11))

    found = explain(facts(order))

    assert (found.owner, found.action) == (Owner.STAFF, "start a clock process")


@pytest.mark.parametrize("state", [AttemptState.SENT, AttemptState.UNKNOWN])
def test_payment_window_does_not_end_while_the_charge_may_have_happened(
    state: AttemptState,
) -> None:
    order = subject(Status.RESERVED, reserved_until=JUST_NOW)
    asking = work(Kind.CHARGE, run_at=SOON, attempt=1)

    found = explain(facts(order, asking, attempts=[attempt(state=state)]))

    assert found.code is Code.LOOKUP_SCHEDULED


def test_dead_work_goes_before_work_that_can_go_on() -> None:
    refund = attempt(AttemptKind.REFUND, AttemptState.CREATED, amount_minor=300)
    payload = {"attempt_id": str(ATTEMPT)}
    dead = work(Kind.REFUND, State.DEAD, payload=payload, attempt=60, run_at=SOON)
    due = work(Kind.CAPTURE, payload=payload)

    assert explain(facts(Status.PAID, due, dead, attempts=[refund])).code is Code.DEAD_TASK


def test_customer_goes_before_the_pause_of_the_queue() -> None:
    asked = attempt(state=AttemptState.ACTION_REQUIRED)
    queues = {Queue.PAYMENTS: QueueState(paused=True)}

    found = explain(facts(HELD_UNTIL, work(Kind.CHARGE), attempts=[asked], queues=queues))

    assert found.code is Code.CUSTOMER_AUTHENTICATION


def test_work_goes_before_capture_and_capture_before_mail() -> None:
    asked = attempt(AttemptKind.CAPTURE, AttemptState.CREATED, amount_minor=400, final=False)
    capture = work(Kind.CAPTURE, payload={"attempt_id": str(ATTEMPT)})
    mail = work(Kind.NOTIFY, payload=CONFIRMED)
    authorized = attempt(AttemptKind.AUTHORIZE, id=ORDER, expires_at=LATER)

    both = explain(facts(Status.PAID, mail, capture, attempts=[authorized, asked]))
    one = explain(facts(Status.PAID, mail, attempts=[authorized]))

    assert (both.code, one.code) == (Code.DUE, Code.CAPTURE_OUTSTANDING)


@pytest.mark.parametrize("status", Status)
def test_every_status_is_explained_in_one_sentence(status: Status) -> None:
    sentence = explain(facts(status)).sentence

    assert sentence.startswith("The ")
    assert sentence.endswith(".")
    assert ". " not in sentence
