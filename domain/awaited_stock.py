"""What a backordered order waits for: stock, or for all of it to be at one location."""

from domain.at_rest import lack
from domain.explanation import Code, Explanation, Facts, Owner, iso
from domain.standing import BY_ITSELF
from domain.status import Status


def backordered(facts: Facts) -> Explanation | None:
    """Have staff get stock, or bring it together; what is there the platform gives by itself."""
    order, waiting = facts.order, facts.order.waiting
    if order.status is not Status.BACKORDERED:
        return None
    since = f"The order waits since {iso(order.since)} for"
    if waiting.short:
        day = waiting.expected_on
        when = "" if day is None else f", and all of it is expected on {day.isoformat()}"
        return Explanation(
            f"{since} stock: {lack(waiting.short)}{when}.",
            order.since,
            Owner.STAFF,
            f"POST /v1/stock/{waiting.short[0].sku}/receipts",
            Code.NO_STOCK,
            "stock",
        )
    if waiting.filling:
        return Explanation(
            f"{since} its stock, which is there: it gets it at its turn, after older orders.",
            order.since,
            Owner.PLATFORM,
            BY_ITSELF,
            Code.BACKORDER_FILLING,
            "its turn to get stock",
        )
    if waiting.scattered:
        return Explanation(
            f"{since} all of its stock to be at one location: there is enough, at several, and the"
            f" order must not be split.",
            order.since,
            Owner.STAFF,
            "POST /v1/stock/{sku}/transfers",
            Code.NO_SINGLE_LOCATION,
            "its stock at one location",
        )
    return None
