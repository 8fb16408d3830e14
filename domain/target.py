"""Targets: what people may expect of each stage, against which the overview shows what is."""

from collections.abc import Mapping

from domain.task import Queue

# How long work that is due may wait. A customer waits for the first two; the others wait for
# outsiders that are slow at times, or are nobody's hurry.
WAITS_MAX_S: Mapping[Queue, float] = {
    Queue.INVENTORY: 5.0,
    Queue.PAYMENTS: 15.0,
    Queue.SHIPPING: 60.0,
    Queue.NOTIFICATIONS: 60.0,
    Queue.WEBHOOKS: 60.0,
    Queue.HOUSEKEEPING: 600.0,
    Queue.RECONCILIATION: 3600.0,
}
# From placed to paid, nineteen times of twenty, as long as the gateway answers.
SETTLES_WITHIN_S = 5.0
# The auditor looks every minute.
AUDITED_WITHIN_S = 180.0


def waits_max_s(queue: str) -> float | None:
    """Give the target of a queue; a newer release may have some that we do not know."""
    return WAITS_MAX_S[Queue(queue)] if queue in set(Queue) else None
