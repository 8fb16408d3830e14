"""The auditor: looks every minute whether what must always hold does, and keeps what does not."""

import logging
from functools import partial

from msgspec.structs import replace

from db import audits, cron
from db.audits import Limits, Look
from db.engine import Busy, Database, Unavailable, name_commit, transaction
from domain.schedule import SCHEDULES, Job
from ops.telemetry import activity
from ops.telemetry.faultpoint import Commit
from workers.failure import twice

log = logging.getLogger(__name__)

# How late a clock may ask whether it is its turn.
ASK_EVERY_S = 5.0
# A look takes a second. On a machine where it takes ten times that, it still ends.
LOOK_TIMEOUT_S = 30.0
# Looks for which one audit may go on when more changed than one can see.
LOOKS_MAX = 20
LIMITS = Limits()
# When a statement takes too long, so much less is looked at, down to some hundred orders.
SMALLER, LOOK_MIN = 8, 100


async def run_once(database: Database) -> None:
    """Audit if it is time and no other clock has; a failure is logged. Raises Unavailable."""
    try:
        await twice(partial(_audit, database))
    except Unavailable:
        raise
    except Exception:
        log.exception("The audit failed")


async def _audit(database: Database) -> None:
    # In a transaction of its own: who comes second sees the slot at once, and does not wait.
    async with transaction(database) as tx:
        if not await cron.take_slot(tx, Job.AUDIT, every_s=SCHEDULES[Job.AUDIT].every_s):
            return
        name_commit(tx, Commit.CRON_AUDIT)
    with activity.doing("audit", "invariants"):
        await audit(database)


async def audit(database: Database, limits: Limits = LIMITS) -> None:
    """Look until all that changed was seen; what another auditor is at is left to it."""
    for _ in range(LOOKS_MAX):
        try:
            async with transaction(database, timeout_s=LOOK_TIMEOUT_S) as tx:
                name_commit(tx, Commit.AUDIT)
                seen = await audits.look(tx, limits)
        except Busy:
            if limits.changed < LOOK_MIN:
                raise
            less = {"rolled": limits.rolled // SMALLER, "changed": limits.changed // SMALLER}
            limits = replace(limits, **less)
            continue
        if seen is None:
            return
        _tell(seen)
        if seen.complete:
            return
        limits = replace(limits, rolled=0)
    log.warning("The audit falls behind: more orders change in a minute than it can look at")


def _tell(seen: Look) -> None:
    for found in seen.new:
        log.error("%s is broken: %s: %s", found.invariant, found.subject, found.detail)
    if seen.missed:
        log.warning(
            "The audit was away for %d transactions too long: what they wrote is looked at when "
            "all orders are, in turn",
            seen.missed,
        )
