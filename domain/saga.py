"""The steps of an order, each with what undoes it, and the stock that follows its moves."""

from collections.abc import Mapping, Sequence

import msgspec

from domain.status import Status
from domain.task import Kind, NewTask, Notice


class SagaStep(msgspec.Struct, frozen=True):
    """`do` is the work once an order is `after`; `undo` is owed to an order in `stands`.

    What both have in common is that they are tasks: retried, visible, and never skipped. Stock is
    given back by the move itself, in its transaction, as `STOCK_EFFECTS` says.
    """

    after: Status
    do: NewTask
    stands: frozenset[Status] = frozenset()
    undo: NewTask | None = None


_UNDER_WAY = frozenset({Status.PLACED, Status.BACKORDERED, Status.RESERVED, Status.REVIEW})

STEPS: Sequence[SagaStep] = (
    SagaStep(after=Status.PLACED, do=NewTask(Kind.RESERVE)),
    SagaStep(
        after=Status.BACKORDERED,
        do=NewTask(Kind.NOTIFY, {"notice": Notice.ORDER_BACKORDERED}),
    ),
    SagaStep(
        after=Status.RESERVED,
        do=NewTask(Kind.CHARGE),
        stands=frozenset({Status.PAID}),
        undo=NewTask(Kind.UNDO_PAYMENT),
    ),
    SagaStep(
        after=Status.PAID,
        do=NewTask(Kind.NOTIFY, {"notice": Notice.ORDER_CONFIRMED}),
        stands=_UNDER_WAY | {Status.PAID},
        undo=NewTask(Kind.NOTIFY, {"notice": Notice.ORDER_CANCELLED}),
    ),
)


def forward(status: Status) -> tuple[NewTask, ...]:
    """Have done what comes after a status."""
    return tuple(step.do for step in STEPS if step.after is status)


def compensation(status: Status) -> tuple[NewTask, ...]:
    """Have undone, last step first, what was done for an order that had come to `status`."""
    owed = [step.undo for step in reversed(STEPS) if status in step.stands]
    return tuple(undo for undo in owed if undo is not None)


class StockEffect(msgspec.Struct, frozen=True):
    """What a move does to the stock of an order's lines, in units per unit ordered."""

    on_hand: int
    reserved: int
    reservation: str | None  # its state after the move; None of what was never held
    promised: int = 0


HOLD = StockEffect(on_hand=0, reserved=+1, reservation="held")
COMMIT = StockEffect(on_hand=-1, reserved=-1, reservation="committed")
RELEASE = StockEffect(on_hand=0, reserved=-1, reservation="released")
RESTOCK = StockEffect(on_hand=+1, reserved=0, reservation="released")
PROMISE = StockEffect(on_hand=0, reserved=0, reservation=None, promised=+1)
FILL = StockEffect(on_hand=0, reserved=+1, reservation="held", promised=-1)
FORGO = StockEffect(on_hand=0, reserved=0, reservation=None, promised=-1)

STOCK_EFFECTS: Mapping[tuple[Status, Status], StockEffect] = {
    (Status.PLACED, Status.RESERVED): HOLD,
    (Status.PLACED, Status.BACKORDERED): PROMISE,
    (Status.BACKORDERED, Status.RESERVED): FILL,
    (Status.BACKORDERED, Status.CANCELLED): FORGO,
    (Status.RESERVED, Status.PAID): COMMIT,
    (Status.REVIEW, Status.PAID): COMMIT,
    (Status.RESERVED, Status.CANCELLED): RELEASE,
    (Status.REVIEW, Status.CANCELLED): RELEASE,
    (Status.PAID, Status.CANCELLED): RESTOCK,
}
