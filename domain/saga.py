"""The steps of an order, forward and back: which work and which stock follow which fact."""

from collections.abc import Mapping

import msgspec

from domain.status import Status
from domain.task import Kind, NewTask, Notice


class StockEffect(msgspec.Struct, frozen=True):
    """What a move does to the stock of an order's lines, in units per unit ordered."""

    on_hand: int
    reserved: int
    reservation: str  # its state after the move


HOLD = StockEffect(on_hand=0, reserved=+1, reservation="held")
COMMIT = StockEffect(on_hand=-1, reserved=-1, reservation="committed")
RELEASE = StockEffect(on_hand=0, reserved=-1, reservation="released")
RESTOCK = StockEffect(on_hand=+1, reserved=0, reservation="released")

STOCK_EFFECTS: Mapping[tuple[Status, Status], StockEffect] = {
    (Status.PLACED, Status.RESERVED): HOLD,
    (Status.BACKORDERED, Status.RESERVED): HOLD,
    (Status.RESERVED, Status.PAID): COMMIT,
    (Status.REVIEW, Status.PAID): COMMIT,
    (Status.RESERVED, Status.CANCELLED): RELEASE,
    (Status.REVIEW, Status.CANCELLED): RELEASE,
    (Status.PAID, Status.CANCELLED): RESTOCK,
}


def after_placed() -> tuple[NewTask, ...]:
    """Have stock held."""
    return (NewTask(Kind.RESERVE),)


def after_reserved() -> tuple[NewTask, ...]:
    """Have money taken."""
    return (NewTask(Kind.CHARGE),)


def after_paid() -> tuple[NewTask, ...]:
    """Have the customer told."""
    return (NewTask(Kind.NOTIFY, {"notice": Notice.ORDER_CONFIRMED}),)


def after_cancelled() -> tuple[NewTask, ...]:
    """Have the customer told, for whatever reason it was cancelled."""
    return (NewTask(Kind.NOTIFY, {"notice": Notice.ORDER_CANCELLED}),)


def compensation(*, paid: bool) -> tuple[NewTask, ...]:
    """Have the money go back; stock goes back in the transaction of the move itself."""
    return (NewTask(Kind.REFUND),) if paid else ()
