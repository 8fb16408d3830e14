"""The pages there are, in the order of the navigation."""

from collections.abc import Sequence

from ops.dashboard import order, orders, overview
from ops.dashboard.page import Page

PAGES: Sequence[Page] = (overview.PAGE, orders.PAGE, order.PAGE)
