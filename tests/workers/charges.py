"""An order to be charged, and what people ask for it."""

from collections.abc import Callable
from uuid import UUID

import msgspec
import pytest

from db import orders, payables, payments
from db.engine import Database, transaction
from db.ids import new_id
from domain import order
from domain.event import CancelReason
from domain.funds import Attempt, AttemptKind, Payable, ask_capture, ask_refund, ask_void
from domain.payment import Capture, OnDecline, RefundReason
from domain.settlement import request
from domain.task import Kind
from tests.builders import a_placement, place, put_products
from tests.records import work
from tests.stages import drain_inventory

TOTAL = 1000


@pytest.fixture
async def order_id(database: Database) -> UUID:
    """An order whose stock is held, to be charged."""
    return await reserved(database)


async def reserved(
    database: Database,
    payment_method: str = "pm_card_visa",
    *,
    capture: Capture = Capture.AUTOMATIC,
    on_decline: OnDecline = OnDecline.CANCEL,
) -> UUID:
    await put_products(database, APPLE=10)
    placement = a_placement(("APPLE", 2), payment_method=payment_method)
    asked = msgspec.structs.replace(placement, capture=capture, on_decline=on_decline)
    [order_id] = await place(database, asked)
    await drain_inventory(database)
    return order_id


async def cancel(database: Database, order_id: UUID) -> None:
    async with transaction(database) as tx:
        await orders.change(
            tx, order_id, lambda was: order.cancel(was, reason=CancelReason.CUSTOMER)
        )


async def ship(database: Database, order_id: UUID) -> None:
    async with transaction(database) as tx:
        await orders.change(tx, order_id, order.ship)


async def refund(database: Database, order_id: UUID, amount_minor: int | None = None) -> Attempt:
    """Have money go back, as staff does; raises what the business refuses with."""

    def ask(payable: Payable) -> Attempt:
        reason = RefundReason.REQUESTED_BY_CUSTOMER
        return ask_refund(payable, new_id(), amount_minor=amount_minor, reason=reason)

    return await _request(database, order_id, ask)


async def capture(
    database: Database, order_id: UUID, amount_minor: int | None = None, *, final: bool = False
) -> Attempt:
    """Have authorized money taken, as staff does; raises what the business refuses with."""

    def ask(payable: Payable) -> Attempt:
        return ask_capture(payable, new_id(), amount_minor=amount_minor, final=final)

    return await _request(database, order_id, ask)


async def void(database: Database, order_id: UUID) -> Attempt:
    """Have authorized money released, as staff does; raises what the business refuses with."""
    return await _request(database, order_id, lambda payable: ask_void(payable, new_id()))


async def _request(
    database: Database, order_id: UUID, ask: Callable[[Payable], Attempt]
) -> Attempt:
    async with transaction(database) as tx:
        payable = await payables.lock(tx, order_id)
        asked = ask(payable)
        await payments.insert(tx, [(payable, asked)])
        await orders.change(tx, order_id, lambda was: request(was, asked, actor="staff"))
    return asked


async def charge_of(database: Database, order_id: UUID) -> tuple[str, int, str | None]:
    task = await work(database, order_id, Kind.CHARGE)
    return task.state, task.attempt, task.last_error


def moved(attempts: list[tuple[str, str]], kind: AttemptKind) -> list[str]:
    """Give the states of the attempts of a kind."""
    return [state for made, state in attempts if made == kind.value]
