"""Accepted orders as rows: a group of them in a statement for each table."""

from collections.abc import Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import carts, events, redemptions, tasks
from db.engine import count_after_commit, run
from db.placement import Ready
from db.redemptions import Redemption


async def insert_many(tx: AsyncConnection, accepted: Sequence[Ready]) -> None:
    """Write orders, lines, timelines and tasks, what discounts gave, and close carts."""
    if not accepted:
        return
    await _insert_orders(tx, accepted)
    await _insert_lines(tx, accepted)
    changes = [r.change for r in accepted]
    actors = {r.placement.order_id: r.placement.actor for r in accepted if r.placement.actor}
    await events.append(tx, changes, actors)
    await tasks.insert(tx, changes)
    await redemptions.insert(tx, [redeemed for r in accepted for redeemed in _redeemed(r)])
    await carts.close(
        tx, [(r.placement.cart.id, r.placement.order_id) for r in accepted if r.placement.cart]
    )
    count_after_commit(tx, [(change.order.status, 0.0) for change in changes])


def _redeemed(ready: Ready) -> list[Redemption]:
    order_id, customer = ready.placement.order_id, ready.placement.redeemer
    return [
        Redemption(order_id, one.discount.id, customer, one.amount_minor) for one in ready.applied
    ]


async def _insert_orders(tx: AsyncConnection, accepted: Sequence[Ready]) -> None:
    await run(
        tx,
        """
        INSERT INTO orders (id, email, status, currency, total_minor, payment_method, ship_to,
                            version, traceparent, capture, on_decline, reserve_for_s, user_id,
                            discount_minor, shipping_minor, tax_minor, tax_included,
                            shipping_tax_ppm, discounts, allow_split)
        SELECT id, email, status, currency, total_minor, payment_method, ship_to::jsonb,
               version, traceparent, capture, on_decline, reserve_for_s, user_id,
               discount_minor, shipping_minor, tax_minor, tax_included, shipping_tax_ppm,
               discounts::jsonb, allow_split
        FROM unnest(%(id)b::uuid[], %(email)b::text[], %(status)b::text[], %(currency)b::text[],
                    %(total_minor)b::bigint[], %(payment_method)b::text[], %(ship_to)b::text[],
                    %(version)b::int[], %(traceparent)b::text[], %(capture)b::text[],
                    %(on_decline)b::text[], %(reserve_for_s)b::int[], %(user_id)b::uuid[],
                    %(discount_minor)b::bigint[], %(shipping_minor)b::bigint[],
                    %(tax_minor)b::bigint[], %(tax_included)b::bool[],
                    %(shipping_tax_ppm)b::int[], %(discounts)b::text[],
                    %(allow_split)b::bool[])
          AS o (id, email, status, currency, total_minor, payment_method, ship_to, version,
                traceparent, capture, on_decline, reserve_for_s, user_id, discount_minor,
                shipping_minor, tax_minor, tax_included, shipping_tax_ppm, discounts,
                allow_split)
        """,
        _columns(accepted),
    )


def _columns(accepted: Sequence[Ready]) -> dict[str, object]:
    return {
        "id": [r.placement.order_id for r in accepted],
        "email": [r.placement.email for r in accepted],
        "status": [r.change.order.status.value for r in accepted],
        "currency": [r.placement.currency for r in accepted],
        "total_minor": [r.change.order.total.minor for r in accepted],
        "payment_method": [r.placement.payment_method for r in accepted],
        "ship_to": [_json(r.placement.ship_to) for r in accepted],
        "version": [r.change.order.version for r in accepted],
        "traceparent": [r.placement.traceparent for r in accepted],
        "capture": [r.placement.capture.value for r in accepted],
        "on_decline": [r.placement.on_decline.value for r in accepted],
        "reserve_for_s": [r.placement.reserve_for_s for r in accepted],
        "user_id": [r.placement.user_id for r in accepted],
        "discount_minor": [r.view.discount_minor for r in accepted],
        "shipping_minor": [r.view.shipping_minor for r in accepted],
        "tax_minor": [r.view.tax_minor for r in accepted],
        "tax_included": [r.view.tax_included for r in accepted],
        "shipping_tax_ppm": [r.shipping_tax_ppm for r in accepted],
        "discounts": [_json(r.view.discounts) for r in accepted],
        "allow_split": [r.placement.allow_split for r in accepted],
    }


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


async def _insert_lines(tx: AsyncConnection, accepted: Sequence[Ready]) -> None:
    rows = [
        (r.placement.order_id, n, line) for r in accepted for n, line in enumerate(r.view.lines, 1)
    ]
    await run(
        tx,
        """
        INSERT INTO order_lines (order_id, line, sku, quantity, unit_minor, name, tax_class,
                                 discount_minor, tax_minor, tax_ppm)
        SELECT * FROM unnest(%(order_id)b::uuid[], %(line)b::int[], %(sku)b::text[],
                             %(quantity)b::int[], %(unit_minor)b::bigint[], %(name)b::text[],
                             %(tax_class)b::text[], %(discount_minor)b::bigint[],
                             %(tax_minor)b::bigint[], %(tax_ppm)b::int[])
        """,
        {
            "order_id": [order_id for order_id, _, _ in rows],
            "line": [n for _, n, _ in rows],
            "sku": [line.sku for _, _, line in rows],
            "quantity": [line.quantity for _, _, line in rows],
            "unit_minor": [line.unit_minor for _, _, line in rows],
            "name": [line.name for _, _, line in rows],
            "tax_class": [line.tax_class for _, _, line in rows],
            "discount_minor": [line.discount_minor for _, _, line in rows],
            "tax_minor": [line.tax_minor for _, _, line in rows],
            "tax_ppm": [line.tax_ppm for _, _, line in rows],
        },
    )
