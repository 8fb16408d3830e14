"""What was done to orders, held against what was asked for: nothing that nobody wanted."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import combinations
from typing import Any

from ops.sandbox import cards
from ops.storm.evidence import Evidence, Found
from ops.storm.history import MOVING, Entry, Op, Outcome

_REQUESTED = "payment_requested"
_READING = frozenset({Op.READ, Op.CANCEL})


def unasked(e: Evidence) -> Found:
    """Find money that was moved oftener than staff asked for it and were not refused."""
    asked = Counter(
        (x.asked.order, x.asked.op.value)
        for x in e.history
        if x.asked.op in MOVING and not _is_refused_for_sure(x)
    )
    made = Counter((v.order_id, v.operation) for v in e.events if v.kind == _REQUESTED)
    for (order_id, operation), times in made.items():
        wanted = asked[order_id, str(operation)]
        if times > wanted:
            yield order_id, f"{times} times {operation}, and {wanted} were asked for"


def _is_refused_for_sure(entry: Entry) -> bool:
    # A try that was never answered may arrive after a later one was refused.
    return entry.outcome is Outcome.REFUSED and len(entry.tries) == 1


def unseen(e: Evidence) -> Found:
    """Find orders that were accepted, and then not shown to who placed them."""
    for entry in e.history:
        if entry.asked.op is Op.READ and entry.outcome is Outcome.REFUSED:
            yield entry.asked.order, f"is not shown to its customer ({entry.last.code})"


def otherwise(e: Evidence) -> Found:
    """Find movements of money that are not what was asked for under their id."""
    attempts = {attempt.id: attempt for attempt in e.attempts}
    for entry in e.history:
        if entry.asked.op not in MOVING or entry.outcome is not Outcome.OK:
            continue
        attempt = attempts.get(str(entry.told("id")))
        if attempt is None:
            continue  # That it is gone is told elsewhere.
        content: Mapping[str, Any] = entry.asked.content or {}
        wanted = content.get("amount_minor", attempt.amount_minor)
        if (attempt.kind, attempt.amount_minor) != (entry.asked.op.value, wanted):
            is_ = f"{attempt.kind} of {attempt.amount_minor}"
            yield entry.asked.order, f"{is_}, asked was {entry.asked.op} of {wanted}"


def unjust(e: Evidence) -> Found:
    """Find orders that were cancelled for a reason that there was not."""
    placed, short = ordered(e), _short(e)
    asked = (x for x in e.history if x.asked.op is Op.CANCEL and x.outcome is not Outcome.REFUSED)
    stopped = {entry.asked.order for entry in asked}
    # What the gateway turns out not to have charged, after all, ends as declined, too.
    late = {event.order_id for event in e.events if event.kind == "payment_in_review"}
    for event in e.events:
        id_ = event.order_id
        if event.kind != "order_cancelled" or id_ not in placed or id_ not in e.orders:
            continue
        method = placed[id_]["payment_method"]
        if event.reason == "customer" and id_ not in stopped:
            yield id_, "was cancelled as its customer wished, who never asked for it"
        elif event.reason == "out_of_stock" and not short & e.orders[id_].items.keys():
            yield id_, "was cancelled as out of stock, and there was enough"
        elif event.reason == "payment_declined" and method in cards.GOOD and id_ not in late:
            yield id_, f"was cancelled as declined, and {method} never is"


def _short(e: Evidence) -> frozenset[str]:
    wanted: Counter[str] = Counter()
    for order in e.orders.values():
        wanted.update(order.items)
    return frozenset(sku for sku, units in wanted.items() if units > e.stocked.get(sku, 0))


def mispriced(e: Evidence) -> Found:
    """Find orders that cost something else than the catalogue of the storm says."""
    for order in e.orders.values():
        if not order.items.keys() <= e.prices.keys():
            continue
        due = sum(e.prices[sku] * quantity for sku, quantity in order.items.items())
        if order.total_minor != due:
            yield order.id, f"costs {order.total_minor}, and its lines {due}"


def misdelivered(e: Evidence) -> Found:
    """Find mails about an order that went to somebody else than who placed it."""
    placed = ordered(e)
    for message_id, came_to in e.addressed.items():
        order_id = message_id.partition(".")[0]
        if order_id in placed and came_to - {str(placed[order_id]["email"])}:
            yield order_id, f"{message_id} went to {', '.join(sorted(came_to))}"


def gone_back(e: Evidence) -> Found:
    """Find orders that were read in a version, and later in one before it."""
    read: dict[str, list[Entry]] = defaultdict(list)
    for entry in e.history:
        if entry.asked.op in _READING and entry.outcome is Outcome.OK:
            read[entry.asked.order].append(entry)
    for order_id, entries in read.items():
        in_turn = sorted(entries, key=lambda entry: entry.invoked_s)
        for first, then in combinations(in_turn, 2):
            before, after = first.told("version"), then.told("version")
            if first.ended_s < then.invoked_s and before > after:
                yield order_id, f"was read in version {before}, and later in {after}"
                break


def ordered(e: Evidence) -> Mapping[str, Mapping[str, Any]]:
    """Give what was asked for by the ids of the orders that were made of it."""
    asked = {x.asked.key: x.asked.content for x in e.history if x.asked.op is Op.PLACE}
    return {row.order_id: asked[row.key] for row in e.keys if row.key in asked}
