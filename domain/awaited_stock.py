"""What a backordered order waits for: stock, or for all of it to be at one location."""

from domain.at_rest import lack
from domain.explanation import Code, Explanation, Facts, Owner, iso
from domain.holding import holding
from domain.status import Status


def backordered(facts: Facts) -> Explanation | None:
    """Have staff get stock, or bring it together; what is there is given out by a task."""
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
    if waiting.scattered and not holding(facts):
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
