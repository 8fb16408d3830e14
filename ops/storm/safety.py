"""What must hold at any instant, each a pure function over what a storm left behind."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from ops.sandbox.ledger import Settlement
from ops.storm import wanted
from ops.storm.evidence import Evidence, Found, OrderRow, is_in
from ops.storm.history import MOVING, Entry, Op, Outcome
from ops.storm.load import CANARY

_CONFIRMED = frozenset({"paid", "shipped", "delivered"})
_ERROR, _SERVER_ERROR = 400, 500
# These say that it may work later: out of service, overloaded, out of time.
_LATER = frozenset({503, 504})
# Facts of which an order has one at most for each attempt, whoever reports it and how often.
_ONCE_PER_ATTEMPT = frozenset(
    {"order_paid", "payment_authorized", "payment_captured", "payment_voided"}
    | {"payment_refunded", "payment_declined", "payment_refused", "late_payment"}
)
# Only a person could have a task that ended done again, and none does in a storm.
_OVER = frozenset({"done", "dead", "cancelled"})
_CANARY = re.compile(rf"{CANARY}[\w-]+")
_ONCE = frozenset({"order_placed", "order_backordered", "stock_reserved", "order_cancelled"})


def oversold(e: Evidence) -> Found:
    """Find SKUs of which not the units sold and those left are what there was."""
    sold: Counter[str] = Counter()
    for order in e.orders.values():
        if order.status in _CONFIRMED:
            sold.update(order.items)
    for row in e.stock:
        had = e.stocked.get(row.sku, 0)
        if sold[row.sku] + row.on_hand != had or row.reserved > row.on_hand:
            yield row.sku, f"{sold[row.sku]} sold and {row.on_hand} on hand, of {had}"


def charged_twice(e: Evidence) -> Found:
    """Find orders for which the gateway took money twice, too much, or in another currency."""
    for order_id, did in e.settlements.items():
        order = e.orders.get(order_id)
        if order is None:
            yield order_id, f"the gateway has {did.captured} of an order that does not exist"
        elif did.captures > 1:
            yield order_id, f"captured by {did.captures} payments: {', '.join(did.attempts)}"
        elif did.captured > order.total_minor or did.authorized > order.total_minor:
            took = f"{did.authorized} authorized, {did.captured} captured"
            yield order_id, f"{took}, of {order.total_minor}"
        elif did.currencies - {order.currency.lower()}:
            yield order_id, f"{', '.join(did.currencies)} instead of {order.currency}"


def unpaid(e: Evidence) -> Found:
    """Find orders that are confirmed without the gateway having their money, or the reverse."""
    for order in e.orders.values():
        did = e.settlements.get(order.id, Settlement())
        took = f"{order.status}: {did.authorized} authorized, {did.captured} captured, "
        took += f"{did.refunded} refunded, {did.held} held, of {order.total_minor}"
        if order.status in _CONFIRMED:
            secured = did.captured if order.capture == "automatic" else did.authorized
            if secured != order.total_minor:
                yield order.id, took
        elif order.status != "review" and (did.captured != did.refunded or did.held):
            yield order.id, took


def money_lost(e: Evidence) -> Found:
    """Find orders of which our books have something else than the gateway's."""
    booked = {row.order_id: row for row in e.booked}
    for order_id in booked.keys() | e.settlements.keys():
        did, ours = e.settlements.get(order_id, Settlement()), booked.get(order_id)
        theirs = (did.captured, did.refunded)
        mine = (ours.captured, ours.refunded) if ours else (0, 0)
        if theirs != mine and not is_in(e, order_id, "review"):
            yield order_id, f"captured and refunded: gateway {theirs}, ledger {mine}"
        elif ours and ours.cash + ours.fees != ours.captured - ours.refunded:
            yield order_id, f"cash {ours.cash} and fees {ours.fees} do not make up {mine}"


def accepted_lost(e: Evidence) -> Found:
    """Find what was accepted and is not there, not as it was accepted, or ended for nothing."""
    attempts = {attempt.id for attempt in e.attempts}
    for entry in _answered(e, Outcome.OK):
        if entry.asked.op in {Op.PLACE, Op.REPLAY}:
            order = e.orders.get(str(entry.told("id")))
            if order is None:
                yield str(entry.told("id")), f"was accepted (operation {entry.n}) and is gone"
            elif wrong := _differs(order, entry):
                yield order.id, f"differs from what was accepted: {wrong}"
        elif entry.asked.op in MOVING and str(entry.told("id")) not in attempts:
            yield entry.asked.order, f"{entry.asked.op} was accepted and is gone"
        elif entry.asked.op is Op.CANCEL and not is_in(e, entry.asked.order, "cancelled"):
            yield entry.asked.order, "its cancellation was accepted and did not last"
    yield from _methods_lost(e)
    yield from wanted.unseen(e)
    yield from wanted.otherwise(e)
    yield from wanted.mispriced(e)
    yield from wanted.unjust(e)


def _methods_lost(e: Evidence) -> Found:
    made = Counter(v.order_id for v in e.events if v.kind == "payment_method_changed")
    asked = Counter(x.asked.order for x in _answered(e, Outcome.OK) if x.asked.op is Op.METHOD)
    for order_id, times in asked.items():
        if made[order_id] < times:
            yield order_id, f"{times} payment methods were accepted, {made[order_id]} are there"


def _differs(order: OrderRow, entry: Entry) -> str:
    asked = entry.asked.content
    items = {line["sku"]: line["quantity"] for line in asked["lines"]}
    pairs = {
        "email": (order.email, asked["email"]),
        "currency": (order.currency, asked["currency"]),
        "capture": (order.capture, asked["capture"]),
        "items": (dict(order.items), items),
        "total": (order.total_minor, entry.told("total_minor")),
    }
    return ", ".join(f"{name} {is_}, was {was}" for name, (is_, was) in pairs.items() if is_ != was)


def refused_left(e: Evidence) -> Found:
    """Find orders, and money moved, that were refused or that nobody asked for."""
    asked = {entry.asked.key: entry for entry in e.history if entry.asked.op is Op.PLACE}
    # Other requests for an order have keys of their own, in the same space.
    order_of = {row.key: row.order_id for row in e.keys if row.key in asked}
    known = set(order_of.values())
    for key, entry in asked.items():
        if entry.outcome is Outcome.REFUSED and key in order_of:
            yield order_of[key], f"was refused ({entry.last.code}) and is there"
    for order_id in e.orders:
        if order_id not in known:
            yield order_id, "nobody asked for it"
    yield from wanted.unasked(e)


def key_used_twice(e: Evidence) -> Found:
    """Find keys that share an order, or were answered in different ways."""
    placed = {x.asked.key: x for x in _answered(e, Outcome.OK) if x.asked.op is Op.PLACE}
    orders = Counter(row.order_id for row in e.keys if row.key in placed)
    for order_id, keys in orders.items():
        if keys > 1:
            yield order_id, f"{keys} keys have made it"
    codes = {Op.REUSE: "idempotency_key_reused", Op.KEYLESS: "idempotency_key_missing"}
    for entry in e.history:
        first = placed.get(entry.asked.key)
        if entry.asked.op is Op.REPLAY and first and entry.outcome is not Outcome.UNKNOWN:
            # Refused is another answer, too.
            if (entry.body, entry.replayed) != (first.body, True):
                yield entry.asked.order, f"another answer to its key (operation {entry.n})"
        elif entry.asked.op in codes and entry.outcome is not Outcome.UNKNOWN:
            code = entry.last.code or str(entry.last.status)
            if code != codes[entry.asked.op]:
                yield entry.asked.order, f"{entry.asked.op} was answered {code}"


def history_broken(e: Evidence) -> Found:
    """Find gaps in the numbers of events, and what was read once and is not so any more."""
    status: dict[str, dict[int, str]] = defaultdict(dict)
    for event in e.events:
        status[event.order_id][event.version] = event.status
    for order in e.orders.values():
        if sorted(status[order.id]) != list(range(1, order.version + 1)):
            yield order.id, f"version {order.version}, events {sorted(status[order.id])}"
    for entry in _answered(e, Outcome.OK):
        if entry.asked.op in {Op.READ, Op.CANCEL}:
            was, version = entry.told("status"), entry.told("version")
            if status[entry.asked.order].get(version) != was:
                yield entry.asked.order, f"was read as {was} in version {version}"
    yield from wanted.gone_back(e)


def unfenced(e: Evidence) -> Found:
    """Find what was written by somebody who had lost the task: it must change nothing."""
    for write in e.writes:
        if write.was in _OVER or write.attempt < write.was_attempt:
            was, became = (write.was, write.was_attempt), (write.became, write.attempt)
            detail = f"task {write.task_id} in attempt {was[1]} is {was[0]}, and was overwritten"
            detail += f" by attempt {became[1]}: {became[0]}"
            yield write.order_id or f"task {write.task_id}", detail
    yield from _written_twice(e)


def _written_twice(e: Evidence) -> Found:
    facts = Counter(
        (event.order_id, event.kind, event.attempt_id)
        for event in e.events
        if event.kind in _ONCE_PER_ATTEMPT | _ONCE
    )
    for (order_id, kind, attempt_id), times in facts.items():
        if times > 1:
            yield order_id, f"{kind} of {attempt_id or 'the order'} is written {times} times"


def overheard(e: Evidence) -> Found:
    """Find answers, mails and logs that tell of an order of somebody else."""
    placed = (entry for entry in _answered(e, Outcome.OK) if entry.asked.op is Op.PLACE)
    own = {str(entry.told("id")): _canary(entry) for entry in placed}
    for entry in e.history:
        if entry.asked.op is Op.PEEK and entry.outcome is Outcome.OK:
            yield entry.asked.order, f"was shown {entry.asked.path} (operation {entry.n})"
        mine = own.get(entry.asked.order) or _canary(entry)
        for told in sorted(set(_CANARY.findall(entry.body)) - {mine}):
            yield entry.asked.order or entry.asked.key, f"was told of {told} (operation {entry.n})"
    yield from wanted.misdelivered(e)
    for line in e.slips:
        yield "log", f"tells of somebody: {line}"


def _canary(entry: Entry) -> str:
    content: Mapping[str, Any] = entry.asked.content or {}
    return str(content.get("ship_to", {}).get("name", ""))


def server_errors(e: Evidence) -> Found:
    """Find answers that are a 5xx other than "later", and errors that are no problem+json."""
    for entry in e.history:
        for tried in entry.tries:
            if tried.status >= _SERVER_ERROR and tried.status not in _LATER:
                yield entry.asked.order or entry.asked.key, _answer(entry, tried.status)
            elif tried.status >= _ERROR and not tried.problem:
                yield entry.asked.order or entry.asked.key, f"{_answer(entry, tried.status)}, bare"


def _answer(entry: Entry, status: int) -> str:
    return f"{entry.asked.op} (operation {entry.n}) was answered {status}"


def _answered(e: Evidence, outcome: Outcome) -> Iterator[Entry]:
    return (entry for entry in e.history if entry.outcome is outcome)
