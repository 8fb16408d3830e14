"""Orders for which nothing is under way: how they stand, and what became of money and stock."""

from domain.event import CancelReason, OrderCancelled
from domain.explanation import Code, Explanation, Facts, Owner, iso, quoted
from domain.funds import TAKING, AttemptState
from domain.payment import WITHDRAWN
from domain.status import Status
from domain.stock import Short

NOTHING_LEFT = "none: nothing is left to do"


def at_rest(facts: Facts) -> Explanation:
    """Explain an order that no work holds up."""
    order, since, paid = facts.order, iso(facts.order.since), money(facts)
    match order.status:
        case Status.PAID:
            sentence = f"The order is paid and waits since {since} for its shipment: {paid}."
            return Explanation(
                sentence,
                order.since,
                Owner.STAFF,
                "hand the goods to a carrier",
                Code.AWAITS_SHIPMENT,
                "its shipment",
            )
        case Status.SHIPPED:
            sentence = f"The order is with a carrier since {since}: {paid}."
            return _resting(facts, sentence, Code.SHIPPED, "its delivery")
        case Status.DELIVERED:
            sentence = f"The order was delivered at {since}: {paid}."
            return _resting(facts, sentence, Code.DELIVERED)
        case Status.RETURNED:
            sentence = f"The order came back at {since}: {paid}."
            return _resting(facts, sentence, Code.RETURNED)
        case _:
            stock = "its stock is for sale again" if order.had_stock else "it held no stock"
            sentence = f"The order was cancelled at {since} {because(facts)}: {paid}, and {stock}."
            return _resting(facts, sentence, Code.CANCELLED)


def _resting(facts: Facts, sentence: str, code: Code, waits_for: str = "nothing") -> Explanation:
    return Explanation(sentence, facts.order.since, Owner.NOBODY, NOTHING_LEFT, code, waits_for)


def money(facts: Facts) -> str:
    """Say what became of the order's money."""
    moved = facts.funds()
    told: list[str] = []
    if moved.captured:
        told.append(f"{facts.amount(moved.captured)} captured")
    if moved.refunded:
        told.append(f"{facts.amount(moved.refunded)} refunded")
    if released := moved.authorized - moved.captured - moved.capturable:
        told.append(f"{facts.amount(released)} released")
    return (" and ".join(told) or "no money was taken") + refused(facts)


def refused(facts: Facts) -> str:
    """Say what was asked for last and not done; of a cancelled order it is made again."""
    last = {a.kind: a for a in facts.attempts if a.kind not in TAKING}
    if facts.order.status is Status.CANCELLED:
        return ""
    return "".join(
        f", but its {a.kind} of {facts.amount(a.amount_minor)} was not made ({quoted(a.error)})"
        for a in last.values()
        if a.state is AttemptState.DECLINED and a.error != WITHDRAWN
    )


def because(facts: Facts) -> str:
    """Say why the order was cancelled."""
    told = facts.order.cancelled or OrderCancelled(CancelReason.STAFF)
    detail = f" ({quoted(told.detail)})" if told.detail else ""
    match told.reason:
        case CancelReason.CUSTOMER:
            return f"by the customer{detail}"
        case CancelReason.OUT_OF_STOCK:
            return f"because stock was short ({lack(told.short) or told.detail})"
        case CancelReason.PAYMENT_DECLINED:
            return f"because its payment was declined{detail}"
        case CancelReason.EXPIRED:
            return f"because it was not paid in time{detail}"
        case CancelReason.STAFF:
            return f"by staff{detail}"
        case CancelReason.FRAUD:
            return f"by staff as fraud{detail}"


def lack(short: tuple[Short, ...]) -> str:
    """Name the SKUs that are missing, and how many."""
    return ", ".join(f"{s.wanted} of {s.sku} wanted and {s.available} for sale" for s in short)
