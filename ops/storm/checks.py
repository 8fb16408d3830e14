"""The promises, each a pure function over what a storm left behind; names are the guarantees'."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping

from db.invariants import Violation
from domain.task import Notice
from ops.sandbox.ledger import Settlement
from ops.storm.evidence import Evidence, OrderRow
from ops.storm.history import Entry, Op, Outcome

Found = Iterator[tuple[str, str]]
Check = Callable[[Evidence], Found]

_CONFIRMED = frozenset({"paid", "shipped", "delivered"})
_UNDER_WAY = frozenset({"placed", "backordered", "reserved"})
_OPEN = frozenset({"created", "sent", "unknown", "action_required"})
_SERVER_ERROR, _UNAVAILABLE = 500, 503
# Facts of which an order has one at most for each attempt, whoever reports it and how often.
_ONCE_PER_ATTEMPT = frozenset(
    {"order_paid", "payment_authorized", "payment_captured", "payment_voided"}
    | {"payment_refunded", "payment_declined", "payment_refused", "late_payment"}
)
_ONCE = frozenset({"order_placed", "stock_reserved", "order_cancelled"})
_NOTICE_OF = {
    "order_paid": Notice.ORDER_CONFIRMED.value,
    "payment_authorized": Notice.ORDER_CONFIRMED.value,
    "order_cancelled": Notice.ORDER_CANCELLED.value,
}
_MOVING = frozenset({Op.CAPTURE, Op.REFUND, Op.VOID})
# A pool that is warm, logs and sockets of a busy minute; what leaks grows beyond it.
_FILES_MORE, _KEYS_MORE, _RSS_TIMES, _RSS_MORE_MB = 100, 200, 2.0, 200.0


def oversold(e: Evidence) -> Found:
    """What was sold and what is left is what there was."""
    sold: Counter[str] = Counter()
    for order in e.orders.values():
        if order.status in _CONFIRMED:
            sold.update(order.items)
    for row in e.stock:
        had = e.stocked.get(row.sku, 0)
        if sold[row.sku] + row.on_hand != had or row.reserved > row.on_hand:
            yield row.sku, f"{sold[row.sku]} sold and {row.on_hand} on hand, of {had}"


def charged_twice(e: Evidence) -> Found:
    """The gateway has taken money once at most for an order, in its currency, of its total."""
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
    """An order is confirmed if and only if the gateway has its money."""
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
    """Our books have of each order what the gateway's have."""
    booked = {row.order_id: row for row in e.booked}
    for order_id in booked.keys() | e.settlements.keys():
        did, ours = e.settlements.get(order_id, Settlement()), booked.get(order_id)
        theirs = (did.captured, did.refunded)
        mine = (ours.captured, ours.refunded) if ours else (0, 0)
        if theirs != mine and not _in_review(e.orders.get(order_id)):
            yield order_id, f"captured and refunded: gateway {theirs}, ledger {mine}"
        elif ours and ours.cash + ours.fees != ours.captured - ours.refunded:
            yield order_id, f"cash {ours.cash} and fees {ours.fees} do not make up {mine}"


def _in_review(order: OrderRow | None) -> bool:
    return order is not None and order.status == "review"


def accepted_lost(e: Evidence) -> Found:
    """What was accepted is there, as it was accepted."""
    attempts = {attempt.id for attempt in e.attempts}
    for entry in _answered(e, Outcome.OK):
        if entry.asked.op in {Op.PLACE, Op.REPLAY}:
            order = e.orders.get(str(entry.told("id")))
            if order is None:
                yield str(entry.told("id")), f"was accepted (operation {entry.n}) and is gone"
            elif wrong := _differs(order, entry):
                yield order.id, f"differs from what was accepted: {wrong}"
        elif entry.asked.op in _MOVING and str(entry.told("id")) not in attempts:
            yield entry.asked.order, f"{entry.asked.op} was accepted and is gone"
        elif entry.asked.op is Op.CANCEL and e.orders[entry.asked.order].status != "cancelled":
            yield entry.asked.order, "its cancellation was accepted and did not last"


def _differs(order: OrderRow, entry: Entry) -> str:
    wanted = entry.asked.content
    items = {line["sku"]: line["quantity"] for line in wanted["lines"]}
    pairs = {
        "email": (order.email, wanted["email"]),
        "currency": (order.currency, wanted["currency"]),
        "capture": (order.capture, wanted["capture"]),
        "items": (dict(order.items), items),
        "total": (order.total_minor, entry.told("total_minor")),
    }
    return ", ".join(f"{name} {is_}, was {was}" for name, (is_, was) in pairs.items() if is_ != was)


def refused_left(e: Evidence) -> Found:
    """What was refused left nothing, and every order was asked for."""
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


def key_used_twice(e: Evidence) -> Found:
    """A key makes one order, and is answered in the same way for ever."""
    placed = {x.asked.key: x for x in _answered(e, Outcome.OK) if x.asked.op is Op.PLACE}
    orders = Counter(row.order_id for row in e.keys if row.key in placed)
    for order_id, keys in orders.items():
        if keys > 1:
            yield order_id, f"{keys} keys have made it"
    wanted = {Op.REUSE: "idempotency_key_reused", Op.KEYLESS: "idempotency_key_missing"}
    for entry in e.history:
        first = placed.get(entry.asked.key)
        if entry.asked.op is Op.REPLAY and entry.outcome is Outcome.OK and first:
            if (entry.body, entry.replayed) != (first.body, True):
                yield entry.asked.order, f"another answer to its key (operation {entry.n})"
        elif entry.asked.op in wanted and entry.outcome is not Outcome.UNKNOWN:
            code = entry.last.code or str(entry.last.status)
            if code != wanted[entry.asked.op]:
                yield entry.asked.order, f"{entry.asked.op} was answered {code}"


def history_broken(e: Evidence) -> Found:
    """Events are numbered without gaps, and what was once read of an order stays true."""
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


def written_twice(e: Evidence) -> Found:
    """No fact is written twice: whoever lost a task to somebody else writes nothing."""
    facts = Counter(
        (event.order_id, event.kind, event.attempt_id)
        for event in e.events
        if event.kind in _ONCE_PER_ATTEMPT | _ONCE
    )
    for (order_id, kind, attempt_id), times in facts.items():
        if times > 1:
            yield order_id, f"{kind} of {attempt_id or 'the order'} is written {times} times"


def server_errors(e: Evidence) -> Found:
    """No answer is a 5xx but 503, and every error is problem+json."""
    for entry in e.history:
        for tried in entry.tries:
            if tried.status >= _SERVER_ERROR and tried.status != _UNAVAILABLE:
                yield entry.asked.order or entry.asked.key, _answer(entry, tried.status)
            elif tried.status >= 400 and not tried.problem:  # noqa: PLR2004 - the first error
                yield entry.asked.order or entry.asked.key, f"{_answer(entry, tried.status)}, bare"


def _answer(entry: Entry, status: int) -> str:
    return f"{entry.asked.op} (operation {entry.n}) was answered {status}"


def unfinished(e: Evidence) -> Found:
    """No order is under way, and one in review has a payment that nobody can tell."""
    unknown = {a.order_id for a in e.attempts if a.state == "unknown"}
    for order in e.orders.values():
        if order.status in _UNDER_WAY:
            yield order.id, f"is {order.status}"
        elif order.status == "review" and order.id not in unknown:
            yield order.id, "is in review, and no payment of it is unknown"


def undelivered(e: Evidence) -> Found:
    """No payment is open, no lease has run out, no work is left."""
    for attempt in e.attempts:
        if attempt.state in _OPEN and not _in_review(e.orders.get(attempt.order_id)):
            yield attempt.order_id, f"{attempt.kind} {attempt.id} is {attempt.state}"
    for task in e.tasks:
        if task.lease_expired:
            yield task.order_id or f"task {task.id}", f"the lease of {task.kind} has run out"
        elif task.state in {"ready", "running"} and task.order_id:
            if not _in_review(e.orders.get(task.order_id)):
                yield task.order_id, f"{task.kind} is {task.state}: {task.last_error}"


def untold(e: Evidence) -> Found:
    """Each customer was told once of each thing, by mail; twice only where a try was repeated."""
    noted = Counter((row.order_id, row.kind) for row in e.notifications)
    owed = {(v.order_id, _NOTICE_OF[v.kind]) for v in e.events if v.kind in _NOTICE_OF}
    tries: dict[str, int] = defaultdict(int)
    for task in e.tasks:
        if task.notice and task.order_id:
            tries[_message_id(task.order_id, task.notice)] += task.attempt
    for order_id, kind in owed | noted.keys():
        if (order_id, kind) not in owed or noted[order_id, kind] != 1:
            yield order_id, f"{noted[order_id, kind]} notifications of {kind}"
    ours = {_message_id(order_id, kind): order_id for order_id, kind in noted}
    sent = {_message_id(r.order_id, r.kind) for r in e.notifications if r.state == "sent"}
    for message_id in sent | e.mails.keys():
        came = e.mails.get(message_id, 0)
        if not (message_id in sent) <= came <= tries[message_id]:
            told = f"{came} mails, {tries[message_id]} tries"
            yield ours.get(message_id, message_id), f"{message_id}: {told}"


def _message_id(order_id: str, notice: str) -> str:
    return f"{order_id}.{notice}@orderflow"


def endless(e: Evidence) -> Found:
    """No task was tried more often than it may, and a dead one says why."""
    for task in e.tasks:
        subject = task.order_id or f"task {task.id}"
        if task.attempt > task.attempts_max:
            yield subject, f"{task.kind} was tried {task.attempt} of {task.attempts_max} times"
        elif task.state == "dead" and not task.last_error:
            yield subject, f"{task.kind} is dead and does not say why"
        elif task.state == "dead" and not task.poison:
            yield subject, f"{task.kind} is dead: {task.last_error}"
        elif task.poison and task.state != "dead":
            yield subject, f"{task.kind} is poison, and {task.state}"


def leaking(e: Evidence) -> Found:
    """Memory, files, connections and keys are near what they were."""
    if e.before is None or e.after is None:
        return
    for name, rss_mb in e.after.rss_mb.items():
        if rss_mb > _RSS_TIMES * e.before.rss_mb.get(name, rss_mb) + _RSS_MORE_MB:
            yield name, f"{rss_mb:.0f} MB, was {e.before.rss_mb[name]:.0f}"
    for name, files in e.after.files.items():
        if files > e.before.files.get(name, files) + _FILES_MORE:
            yield name, f"{files} open files, were {e.before.files[name]}"
    if e.after.keys > e.before.keys + _KEYS_MORE:
        yield "redis", f"{e.after.keys} keys, were {e.before.keys}"
    if e.after.connections > _connections_max(e.after.files):
        yield "postgres", f"{e.after.connections} connections, were {e.before.connections}"


def _connections_max(processes: Mapping[str, int]) -> int:
    # Each process has a pool of its own, of the size that the settings give it.
    return 8 * len(processes)


def _answered(e: Evidence, outcome: Outcome) -> Iterator[Entry]:
    return (entry for entry in e.history if entry.outcome is outcome)


CHECKS: Mapping[str, Check] = {
    "S1 no oversell": oversold,
    "S2 charged at most once": charged_twice,
    "S3 confirmed if and only if paid": unpaid,
    "S4 money conserved": money_lost,
    "S5 accepted means durable": accepted_lost,
    "S6 refused means nothing": refused_left,
    "S7 one order per key": key_used_twice,
    "S8 legal history": history_broken,
    "S9 fencing": written_twice,
    "S11 no 5xx": server_errors,
    "L1 no order is unfinished": unfinished,
    "L2 nothing is undelivered": undelivered,
    "L4 one notification each": untold,
    "L5 bounded attempts": endless,
    "L6 resources return": leaking,
}
LATER: Mapping[str, str] = {
    "S10 tenant isolation": "there are no tenants yet",
    "L3 every event reaches its subscribers": "there are no webhooks out yet",
}


def check(e: Evidence) -> list[Violation]:
    """Hold everything against every promise, those that Postgres sees by itself first."""
    found = [Violation(v.invariant, v.subject, v.detail) for v in e.broken]
    for name, judge in CHECKS.items():
        found += [Violation(name, subject, detail) for subject, detail in judge(e)]
    return found

