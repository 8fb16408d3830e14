"""What must come to be once the faults are over, each a pure function over what is left."""

from collections import Counter, defaultdict
from collections.abc import Mapping

from domain.task import Notice
from ops.sandbox.cards import MISSTATED
from ops.storm.evidence import Evidence, Found, is_in
from ops.storm.history import Op

_UNDER_WAY = frozenset({"placed", "backordered", "reserved"})
_OPEN = frozenset({"created", "sent", "unknown", "action_required"})
_NOTICE_OF = {
    "order_backordered": Notice.ORDER_BACKORDERED.value,
    "order_paid": Notice.ORDER_CONFIRMED.value,
    "payment_authorized": Notice.ORDER_CONFIRMED.value,
    "order_cancelled": Notice.ORDER_CANCELLED.value,
}
# A pool that is warm, logs and sockets of a busy minute; what leaks grows beyond it.
_FILES_MORE, _KEYS_MORE, _RSS_TIMES, _RSS_MORE_MB = 100, 200, 2.0, 200.0


def unfinished(e: Evidence) -> Found:
    """Find orders under way, in review for nothing, or not in review though nobody can tell."""
    untold = _untold(e)
    for order in e.orders.values():
        if order.status in _UNDER_WAY:
            yield order.id, f"is {order.status}"
        elif order.status == "review" and order.id not in untold:
            yield order.id, "is in review, and the gateway can tell what was paid"
        elif order.status != "review" and order.id in untold:
            yield order.id, f"is {order.status}, and the gateway cannot tell what was paid"


def _untold(e: Evidence) -> frozenset[str]:
    """Name the orders of whose money, which the gateway has, it says something else for ever."""
    misstated = {
        entry.asked.key
        for entry in e.history
        if entry.asked.op is Op.PLACE and entry.asked.content["payment_method"] == MISSTATED
    }
    return frozenset(row.order_id for row in e.keys if row.key in misstated) & e.settlements.keys()


def undelivered(e: Evidence) -> Found:
    """Find payments that are open, leases that ran out, and work that is left."""
    for attempt in e.attempts:
        if attempt.state in _OPEN and not is_in(e, attempt.order_id, "review"):
            yield attempt.order_id, f"{attempt.kind} {attempt.id} is {attempt.state}"
    for task in e.tasks:
        if task.lease_expired:
            yield task.order_id or f"task {task.id}", f"the lease of {task.kind} has run out"
        elif (
            task.order_id
            and task.state in {"ready", "running"}
            and not is_in(e, task.order_id, "review")
        ):
            yield task.order_id, f"{task.kind} is {task.state}: {task.last_error}"


def untold(e: Evidence) -> Found:
    """Find customers who were not told, or oftener than it was tried."""
    noted = Counter((row.order_id, row.kind) for row in e.notifications)
    owed = {(v.order_id, _NOTICE_OF[v.kind]) for v in e.events if v.kind in _NOTICE_OF}
    for order_id, kind in owed | noted.keys():
        if (order_id, kind) not in owed or noted[order_id, kind] != 1:
            yield order_id, f"{noted[order_id, kind]} notifications of {kind}"
    ours = {_message_id(order_id, kind): order_id for order_id, kind in noted}
    ours |= {_message_id(row.id, row.kind): row.id for row in e.notices}
    sent = {_message_id(r.order_id, r.kind) for r in e.notifications if r.state == "sent"}
    sent |= {_message_id(r.id, r.kind) for r in e.notices if r.state == "sent"}
    tries = _tries(e)
    for message_id in sent | e.mails.keys():
        came = e.mails.get(message_id, 0)
        tried = tries.get(message_id) or tries.get(message_id.partition(".")[0], 0)
        if not (message_id in sent) <= came <= tried:
            told = f"{came} mails, {tried} tries"
            yield ours.get(message_id, message_id), f"{message_id}: {told}"


def _tries(e: Evidence) -> Mapping[str, int]:
    """Count how often each mail was tried, by its message id, that of an account by its notice.

    The notice itself is gone once its account is erased.
    """
    tries: dict[str, int] = defaultdict(int)
    for task in e.tasks:
        if task.notice:
            of_order = task.order_id and _message_id(task.order_id, task.notice)
            tries[of_order or task.notice] += task.attempt
    return tries


def _message_id(about: str, notice: str) -> str:
    return f"{about}.{notice}@orderflow"


def endless(e: Evidence) -> Found:
    """Find tasks that were tried too often, or died, and poison that lives."""
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
    """Find memory, files, connections and keys that were not given back."""
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
