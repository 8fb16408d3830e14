"""Explaining an order: the one thing it waits for, whose move it is, and what is safe to do."""

from collections.abc import Callable, Sequence

from domain.at_rest import at_rest
from domain.awaited import authentication, capture, dispute, other_method, review, shortfall
from domain.awaited_stock import backordered
from domain.explanation import Code, Explanation, Facts, Owner, Work, iso
from domain.funds import AttemptState
from domain.holding import by_need, holding, owed, unsettled, what
from domain.standing import BY_ITSELF, OVERDUE, standing
from domain.status import Status
from domain.task import Kind, State


def explain(facts: Facts) -> Explanation:
    """Say in one sentence what an order waits for.

    Of several reasons it is the one that must act first, in the order of this table:

    | #  | the order                                             | whose move it is        |
    |----|-------------------------------------------------------|-------------------------|
    | 1  | was not paid in time, and no charge may have happened | platform                |
    | 2  | is in review, or has a void or refund nobody can tell | staff                   |
    | 3  | has work that was given up                            | staff                   |
    | 4  | needs the customer to authenticate the payment        | customer                |
    | 5  | was declined and is held for another payment method   | customer                |
    | 6  | is backordered: stock is short, or at several places  | staff, platform         |
    | 7  | has work to do; `standing` says why it is not done    | platform, gateway, staff |
    | 8  | has something left to do and no work that does it     | staff                   |
    | 9  | is paid, and the customer asked the bank for it back  | staff                   |
    | 10 | has money that is authorized and not captured         | staff                   |
    | 11 | is paid in part only, or its money is gone            | staff                   |
    | 12 | is through but for its mail, which does not hold it   | platform, staff         |
    | 13 | is at rest                                            | staff if paid, or nobody |
    """
    return next(found for rule in RULES if (found := rule(facts)))


def _window_over(facts: Facts) -> Explanation | None:
    until = facts.order.reserved_until
    charging = any(a.state in {AttemptState.SENT, AttemptState.UNKNOWN} for a in facts.attempts)
    if facts.order.status is not Status.RESERVED or until is None or until > facts.now or charging:
        return None
    late = facts.now - until > OVERDUE
    end = "no clock process seems to run, which would end it" if late else "it ends within seconds"
    return Explanation(
        f"The order was not paid by {iso(until)}: {end} and puts its stock up for sale again.",
        until,
        Owner.STAFF if late else Owner.PLATFORM,
        "start a clock process" if late else BY_ITSELF,
        Code.PAYMENT_WINDOW_OVER,
        "the end of its reservation",
    )


def _given_up(facts: Facts) -> Explanation | None:
    dead = [task for task in holding(facts) if task.state is State.DEAD]
    return _of_task(dead[0], facts) if dead else None


def _work(facts: Facts) -> Explanation | None:
    left = holding(facts)
    return _of_task(left[0], facts) if left else None


def _of_task(task: Work, facts: Facts) -> Explanation:
    waits_for, why = what(task, facts), standing(task, facts)
    return Explanation(
        f"The {facts.order.status} order waits since {iso(why.since)} for {waits_for}:"
        f" {why.clause}.",
        why.since,
        why.owner,
        why.action,
        why.code,
        waits_for,
        why.until,
    )


def _nothing_under_way(facts: Facts) -> Explanation | None:
    order, asked = facts.order, unsettled(facts)
    if asked is not None:
        left = f"its {asked.kind} of {facts.amount(asked.amount_minor)} is not settled"
    elif order.status in {Status.PLACED, Status.BACKORDERED, Status.RESERVED}:
        left = "it is neither paid nor cancelled"
    elif order.status is Status.CANCELLED and owed(facts):
        left = f"{facts.amount(owed(facts))} of it are not given back"
    else:
        return None
    stoppable = asked is None and order.status is not Status.CANCELLED
    return Explanation(
        f"The {order.status} order waits since {iso(order.since)}: {left}, and nothing is under"
        f" way to change that.",
        order.since,
        Owner.STAFF,
        f"POST /v1/orders/{order.id}/cancel" if stoppable else _mend(facts),
        Code.NOTHING_UNDER_WAY,
        "staff to look into it",
        order.reserved_until if order.status is Status.RESERVED else None,
    )


def _mend(facts: Facts) -> str:
    """Name what ends the money of an order with which nothing is under way."""
    order = facts.order
    if order.status is Status.CANCELLED and unsettled(facts) is None and facts.funds().refundable:
        return f"POST /v1/orders/{order.id}/write-off"
    return f"compare GET /v1/orders/{order.id}/payments with the gateway's own books"


def _mail(facts: Facts) -> Explanation | None:
    mails = [task for task in by_need(facts.tasks, facts) if task.kind is Kind.NOTIFY]
    if not mails:
        return None
    resting, mail = at_rest(facts), mails[0]
    why = standing(mail, facts)
    sentence = (
        f"{resting.sentence.rstrip('.')}; {what(mail, facts)} is not sent since {iso(why.since)},"
        f" which does not hold the order: {why.clause}."
    )
    return Explanation(
        sentence, why.since, why.owner, why.action, Code.MAIL_NOT_SENT, what(mail, facts), why.until
    )


RULES: Sequence[Callable[[Facts], Explanation | None]] = (
    _window_over,
    review,
    _given_up,
    authentication,
    other_method,
    backordered,
    _work,
    _nothing_under_way,
    dispute,
    capture,
    shortfall,
    _mail,
    at_rest,
)
