"""The pages there are, in the order of the navigation."""

from collections.abc import Sequence

from ops.dashboard import (
    invariants,
    order,
    orders,
    overview,
    payments,
    queues,
    schedules,
    stock,
    tasks,
    trail,
    workers,
)
from ops.dashboard.page import Page

PAGES: Sequence[Page] = (
    overview.PAGE,
    orders.PAGE,
    order.PAGE,
    payments.PAGE,
    stock.PAGE,
    stock.ONE,
    queues.PAGE,
    tasks.PAGE,
    workers.PAGE,
    schedules.PAGE,
    trail.PAGE,
    invariants.PAGE,
)
