"""The promises by their names in the guarantees, and the checks that see them broken."""

from collections.abc import Callable, Mapping

from db.invariants import Violation
from ops.storm import liveness, safety
from ops.storm.evidence import Evidence, Found

Check = Callable[[Evidence], Found]

CHECKS: Mapping[str, Check] = {
    "S1 no oversell": safety.oversold,
    "S2 charged at most once": safety.charged_twice,
    "S3 confirmed if and only if paid": safety.unpaid,
    "S4 money conserved": safety.money_lost,
    "S5 accepted means durable": safety.accepted_lost,
    "S6 refused means nothing": safety.refused_left,
    "S7 one order per key": safety.key_used_twice,
    "S8 legal history": safety.history_broken,
    "S9 fencing": safety.unfenced,
    "S10 one sees what is one's own": safety.overheard,
    "S11 no 5xx": safety.server_errors,
    "L1 no order is unfinished": liveness.unfinished,
    "L2 nothing is undelivered": liveness.undelivered,
    "L4 one notification each": liveness.untold,
    "L5 bounded attempts": liveness.endless,
    "L6 resources return": liveness.leaking,
}
LATER: Mapping[str, str] = {
    "L3 every event reaches its subscribers": "there are no webhooks out yet",
}


def check(e: Evidence) -> list[Violation]:
    """Hold everything against every promise, those that Postgres sees by itself first."""
    found = [Violation(v.invariant, v.subject, v.detail) for v in (*e.broken, *e.found)]
    for name, judge in CHECKS.items():
        found += [Violation(name, subject, detail) for subject, detail in judge(e)]
    return found
