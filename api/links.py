"""Links of orders: what who asks may do with one now, by its state and by the policies."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api.authentication import Asked
from db import situations
from db.orders import OrderView
from db.situations import Situation
from domain.action import Action, actions
from domain.attempt import Window
from domain.principal import Policy, Principal, Role, may
from ops.config import Settings

# The operation behind each action, as the table of policies names it.
OPERATIONS: Mapping[Action, str] = {
    Action.SELF: "GET /v1/orders/{order_id}",
    Action.EVENTS: "GET /v1/orders/{order_id}/events",
    Action.EXPLAIN: "GET /v1/orders/{order_id}/explain",
    Action.PAYMENTS: "GET /v1/orders/{order_id}/payments",
    Action.CANCEL: "POST /v1/orders/{order_id}/cancel",
    Action.CAPTURE: "POST /v1/orders/{order_id}/capture",
    Action.VOID: "POST /v1/orders/{order_id}/void",
    Action.REFUNDS: "POST /v1/orders/{order_id}/refunds",
    Action.PAYMENT_METHOD: "POST /v1/orders/{order_id}/payment-method",
    Action.RESOLVE: "POST /v1/orders/{order_id}/resolve",
    Action.WRITE_OFF: "POST /v1/orders/{order_id}/write-off",
    Action.CLAIM: "POST /v1/orders/{order_id}/claim",
}


class Link(msgspec.Struct, frozen=True):
    """Where and how something is done."""

    href: str
    method: str


Links = Annotated[
    dict[str, Link],
    Meta(
        description="What you may do with the order now, by name: self, events, explain, payments,"
        " cancel, capture, void, refunds, payment-method, resolve, write-off, claim. What is not"
        " named would be refused. Claiming takes the token of the order, too."
    ),
]


class LinkedOrder(OrderView, frozen=True):
    """An order, and what may be done with it now."""

    links: Links


async def link(
    request: Asked, tx: AsyncConnection, views: Sequence[OrderView]
) -> list[LinkedOrder]:
    """Give orders with their links, read in the same transaction."""
    found = await situations.find_many(tx, [view.id for view in views])
    return [
        LinkedOrder(**msgspec.structs.asdict(view), links=_links(request, view.id, found[view.id]))
        for view in views
    ]


def _links(request: Asked, order_id: UUID, found: Situation) -> dict[str, Link]:
    settings: Settings = request.app.state.settings
    policies: Mapping[str, Policy] = request.app.state.policies
    support = request.user.role is Role.SUPPORT
    open_ = actions(
        found.payable,
        found.work,
        Window(found.now, timedelta(seconds=settings.gateway_window_s)),
        refund_max_minor=settings.support_refund_max_minor if support else None,
    )
    return offered(policies, request.user, order_id, open_)


def offered(
    policies: Mapping[str, Policy], principal: Principal, order_id: UUID, open_: frozenset[Action]
) -> dict[str, Link]:
    """Link to those of the actions that are open which the policies allow somebody."""
    links = dict[str, Link]()
    for action, operation in OPERATIONS.items():
        if action in open_ and may(policies[operation], principal):
            method, _, path = operation.partition(" ")
            links[action.value] = Link(path.format(order_id=order_id), method)
    return links
