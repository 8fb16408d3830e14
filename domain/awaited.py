"""What an order waits for people to do about its payment: to decide, to confirm, to capture."""

from datetime import datetime

from domain.at_rest import money, refused
from domain.explanation import Code, DatedAttempt, Explanation, Facts, Owner, iso, quoted
from domain.funds import TAKING, AttemptKind, AttemptState
from domain.holding import holding, unsettled
from domain.standing import BY_ITSELF, OVERDUE
from domain.status import Status
from domain.task import NAMED, State

_PAID = frozenset({Status.PAID, Status.SHIPPED, Status.DELIVERED})


def review(facts: Facts) -> Explanation | None:
    """Have a person decide what the gateway cannot say; show what there is to go by."""
    order, asked = facts.order, unsettled(facts)
    if any(NAMED in task.payload and task.state is not State.DEAD for task in facts.tasks):
        # A person has said what happened, and the gateway is to confirm it.
        return None
    if order.status is Status.REVIEW:
        since = order.since
    elif asked is not None and _beyond_asking(asked, facts):
        since = asked.sent_at or asked.updated_at
    else:
        return None
    said = f"; {_evidence(asked, facts)}" if asked else ""
    return Explanation(
        f"The order waits since {iso(since)} for a"
        f" person to decide on its payment: nobody could say what became of it{said}.",
        since,
        Owner.STAFF,
        f"POST /v1/orders/{order.id}/resolve",
        Code.REVIEW,
        "a person to decide on its payment",
    )


def _beyond_asking(asked: DatedAttempt, facts: Facts) -> bool:
    """Tell whether the gateway had all the time it needs; a reserved order then goes to review."""
    unknown = asked.state is AttemptState.UNKNOWN and facts.order.status is not Status.RESERVED
    return unknown and facts.window.is_over(asked)


def _evidence(asked: DatedAttempt, facts: Facts) -> str:
    sent = "" if asked.sent_at is None else f", sent at {iso(asked.sent_at)}"
    ref = "" if asked.gateway_ref is None else f" or {asked.gateway_ref}"
    return (
        f"look at {asked.gateway} for {asked.id}{ref}, the {asked.kind} of"
        f" {facts.amount(asked.amount_minor)}{sent}, of which was last heard {quoted(asked.error)}"
    )


def authentication(facts: Facts) -> Explanation | None:
    """Have the customer authenticate the payment."""
    asked = unsettled(facts)
    waits = asked is not None and asked.state is AttemptState.ACTION_REQUIRED
    if facts.order.status is not Status.RESERVED or asked is None or not waits:
        return None
    until = facts.order.reserved_until
    return Explanation(
        f"The order waits since {iso(asked.updated_at)} for the customer to confirm the payment of"
        f" {facts.amount(asked.amount_minor)} with their bank: its stock is reserved"
        f"{_until(facts)}.",
        asked.updated_at,
        Owner.CUSTOMER,
        "ask the customer to confirm the payment (3-D Secure)",
        Code.CUSTOMER_AUTHENTICATION,
        "the customer to confirm the payment",
        until,
    )


def other_method(facts: Facts) -> Explanation | None:
    """Have the customer give another payment method."""
    taking = [a for a in facts.attempts if a.kind in TAKING]
    declined = bool(taking) and taking[-1].state is AttemptState.DECLINED
    if facts.order.status is not Status.RESERVED or not declined or holding(facts):
        return None
    return Explanation(
        f"The order waits since {iso(taking[-1].updated_at)} for another payment method:"
        f" {taking[-1].gateway} declined the payment with {quoted(taking[-1].error)}, and its"
        f" stock is reserved{_until(facts)}.",
        taking[-1].updated_at,
        Owner.CUSTOMER,
        f"POST /v1/orders/{facts.order.id}/payment-method",
        Code.OTHER_PAYMENT_METHOD,
        "another payment method",
        facts.order.reserved_until,
    )


def capture(facts: Facts) -> Explanation | None:
    """Have staff capture what is authorized."""
    left = facts.funds().capturable
    if facts.order.status not in _PAID or not left:
        return None
    held = next(
        a
        for a in facts.attempts
        if a.kind is AttemptKind.AUTHORIZE and a.state is AttemptState.SUCCEEDED
    )
    until = held.expires_at
    amount, since = facts.amount(left), iso(held.updated_at)
    if until is not None and until <= facts.now:
        late = facts.now - until > OVERDUE
        clock = ", and no clock process seems to run" if late else ""
        return Explanation(
            f"The {facts.order.status} order waits since {iso(until)} for its expired"
            f" authorization to be taken note of: {amount} were not captured in time{clock}.",
            until,
            Owner.STAFF if late else Owner.PLATFORM,
            "start a clock process" if late else BY_ITSELF,
            Code.AUTHORIZATION_EXPIRED,
            "its expired authorization to be taken note of",
        )
    expiry = "" if until is None else f", and the authorization expires at {iso(until)}"
    return Explanation(
        f"The {facts.order.status} order waits since {since} for its capture: {amount} are"
        f" authorized and not captured{expiry}{refused(facts)}.",
        held.updated_at,
        Owner.STAFF,
        f"POST /v1/orders/{facts.order.id}/capture",
        Code.CAPTURE_OUTSTANDING,
        "its capture",
        until,
    )


def dispute(facts: Facts) -> Explanation | None:
    """Have staff settle a dispute before the goods go out."""
    order, told, at = facts.order, facts.order.disputed, facts.order.disputed_at
    if order.status is not Status.PAID or told is None or at is None or not _kept(facts):
        return None
    return Explanation(
        f"The paid order waits since {iso(at)} for its dispute {told.dispute_ref} to be settled:"
        f" the customer asked the bank for {facts.amount(told.amount_minor)} back with"
        f" {quoted(told.reason)}, and goods that are shipped meanwhile may be lost.",
        at,
        Owner.STAFF,
        f"look at dispute {told.dispute_ref} in the gateway's dashboard; ship once it is won, or"
        f" POST /v1/orders/{order.id}/cancel",
        Code.PAYMENT_DISPUTED,
        "its dispute to be settled",
    )


def shortfall(facts: Facts) -> Explanation | None:
    """Have staff decide on a paid order whose money is gone, or was captured in part only."""
    order, moved, kept = facts.order, facts.funds(), _kept(facts)
    if order.status is not Status.PAID or (kept and moved.captured >= order.total.minor):
        return None
    since = _last_moved(facts)
    total, cancel = facts.amount(order.total.minor), f"POST /v1/orders/{order.id}/cancel"
    if not kept:
        return Explanation(
            f"The order waits since {iso(since)} for its cancellation: nothing of its total of"
            f" {total} is paid any more ({money(facts)}).",
            since,
            Owner.STAFF,
            cancel,
            Code.NOTHING_PAID,
            "its cancellation",
        )
    return Explanation(
        f"The order waits since {iso(since)} for staff to ship what is paid for or to cancel it:"
        f" its total of {total} was captured in part only ({money(facts)}).",
        since,
        Owner.STAFF,
        f"hand the goods that are paid for to a carrier, or {cancel}",
        Code.PARTLY_PAID,
        "staff to ship what is paid for or to cancel it",
    )


def _kept(facts: Facts) -> int:
    """Sum up what is ours of the order's money, or will be once it is captured."""
    moved = facts.funds()
    return moved.captured - moved.refunded + moved.capturable


def _last_moved(facts: Facts) -> datetime:
    moved = (a.updated_at for a in facts.attempts if a.state is AttemptState.SUCCEEDED)
    return max(moved, default=facts.order.since)


def _until(facts: Facts) -> str:
    until = facts.order.reserved_until
    return "" if until is None else f" until {iso(until)}"
