"""The only factory of test data: an order, a placement, a product, as a test needs them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import func, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db import catalogue_tables, placements, stock, variants
from db.engine import Database, transaction
from db.ids import new_id
from db.keys import Answer
from db.placements import Placement
from domain.address import Address
from domain.funds import Attempt, AttemptKind, AttemptState, Payable
from domain.money import Money
from domain.order import RESERVE_FOR_S, Order
from domain.payment import Capture, OnDecline, RefundReason
from domain.status import Status
from domain.task import Kind, Task
from domain.variant import Item, Offer, Variant

ADDRESS = Address("Ann Example", "1 High Street", "London", "N1 1AA", "GB")


def an_order(*, status: Status = Status.PLACED, version: int = 1, total_minor: int = 1000) -> Order:
    return Order(new_id(), status, version, Money(total_minor, "GBP"))


def a_task(
    kind: Kind = Kind.CHARGE,
    *,
    order_id: UUID | None = None,
    payload: Mapping[str, str] | None = None,
    attempt: int = 1,
    attempts_max: int = 5,
) -> Task:
    return Task(1, kind, order_id or new_id(), payload or {}, attempt, attempts_max)


def an_attempt(  # noqa: PLR0913 - each is what some test is about
    kind: AttemptKind = AttemptKind.CHARGE,
    state: AttemptState = AttemptState.SUCCEEDED,
    amount_minor: int = 1000,
    *,
    gateway_ref: str | None = "pi_1",
    sent_at: datetime | None = None,
    final: bool = True,
    reason: RefundReason | None = None,
) -> Attempt:
    return Attempt(
        new_id(), kind, state, amount_minor, "stripe", gateway_ref, sent_at, final, reason
    )


def a_payable(
    *attempts: Attempt,
    status: Status = Status.PAID,
    total_minor: int = 1000,
    capture: Capture = Capture.AUTOMATIC,
    holds: bool = False,
    reserved_until: datetime | None = None,
) -> Payable:
    total = Money(total_minor, "GBP")
    return Payable(
        new_id(), status, total, "pm_card_visa", capture, holds, attempts, reserved_until
    )


def a_product(
    sku: str,
    *,
    price_minor: int = 500,
    currency: str = "GBP",
    active: bool = True,
    product: str | None = None,
) -> Variant:
    return Variant(sku, f"Product {sku}", price_minor, currency, active, 0, product)


def an_offer(
    sku: str, *, price_minor: int | None = 500, currency: str = "GBP", for_sale: bool = True
) -> Offer:
    return Offer(sku, currency, f"Product {sku}", "standard", "GBP", price_minor, for_sale)


def a_placement(  # noqa: PLR0913 - each is what some test is about
    *items: tuple[str, int],
    key: str | None = None,
    email: str = "ann@example.com",
    currency: str = "GBP",
    payment_method: str = "pm_card_visa",
    capture: Capture = Capture.AUTOMATIC,
    on_decline: OnDecline = OnDecline.CANCEL,
    reserve_for_s: int = RESERVE_FOR_S,
) -> Placement:
    order_id = new_id()
    return Placement(
        order_id=order_id,
        scope="public",
        key=key or str(order_id),
        fingerprint=repr((items, email, currency, payment_method)).encode(),
        email=email,
        currency=currency,
        items=[Item(sku, quantity) for sku, quantity in items],
        payment_method=payment_method,
        ship_to=ADDRESS,
        capture=capture,
        on_decline=on_decline,
        reserve_for_s=reserve_for_s,
    )


def an_order_body(*items: tuple[str, int], **changes: Any) -> dict[str, Any]:
    """JSON of POST /v1/orders."""
    return {
        "email": "ann@example.com",
        "currency": "GBP",
        "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in items],
        "payment_method": "pm_card_visa",
        "ship_to": msgspec.to_builtins(ADDRESS),
        **changes,
    }


async def put_product(tx: AsyncConnection, sku: str, *, on_hand: int = 100, **changes: Any) -> None:
    await variants.put(tx, a_product(sku, **changes))
    await stock.put(tx, sku, on_hand)


async def put_catalogue_product(
    tx: AsyncConnection, slug: str, *skus: str, status: str = "active"
) -> UUID:
    """Put a product that everybody sees, unless it has another status, over variants."""
    product_id = new_id()
    made = insert(catalogue_tables.products).values(
        id=product_id, slug=slug, name=slug.title(), status=status, published_at=func.now()
    )
    await tx.execute(made)
    over = update(catalogue_tables.variants).where(catalogue_tables.variants.c.sku.in_(skus))
    await tx.execute(over.values(product_id=product_id))
    return product_id


async def put_products(database: Database, **on_hand: int) -> None:
    # A thousand of them take seconds on a busy machine.
    async with transaction(database, timeout_s=60) as tx:
        for sku, count in on_hand.items():
            await put_product(tx, sku, on_hand=count)


async def place(database: Database, *wanted: Placement) -> list[UUID]:
    """Accept placements as one group; returns the ids of the orders, which all were accepted."""
    async with transaction(database) as tx:
        answers = await placements.insert_many(tx, wanted, msgspec.json.encode)
    return [answer.order_id for answer in _all_accepted(answers)]


def _all_accepted(answers: Sequence[Answer | Exception]) -> list[Answer]:
    accepted = [answer for answer in answers if isinstance(answer, Answer)]
    assert len(accepted) == len(answers), answers
    return accepted
