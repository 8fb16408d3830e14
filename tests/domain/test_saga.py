"""Stock follows the moves, and what was done for an order is undone in reverse."""

from itertools import pairwise

import pytest

from domain.saga import STEPS, STOCK_EFFECTS, compensation, forward
from domain.status import MOVES, Status
from domain.task import Kind, NewTask, Notice

# What an order of one unit has done to (on_hand, reserved, promised), and its reservation's state.
# What comes back is counted in by people, so of `returned` nothing is said.
STANDING = {
    Status.PLACED: (0, 0, 0),
    Status.BACKORDERED: (0, 0, 1),
    Status.RESERVED: (0, 1, 0),
    Status.REVIEW: (0, 1, 0),
    Status.PAID: (-1, 0, 0),
    Status.SHIPPED: (-1, 0, 0),
    Status.DELIVERED: (-1, 0, 0),
    Status.CANCELLED: (0, 0, 0),
}
RESERVATION = {Status.RESERVED: "held", Status.PAID: "committed", Status.CANCELLED: "released"}

CONFIRMED = NewTask(Kind.NOTIFY, {"notice": Notice.ORDER_CONFIRMED})
WAITS = NewTask(Kind.NOTIFY, {"notice": Notice.ORDER_BACKORDERED})
CANCELLED = NewTask(Kind.NOTIFY, {"notice": Notice.ORDER_CANCELLED})
UNDO = NewTask(Kind.UNDO_PAYMENT)

EVERY_MOVE = [(was, to) for was, ways in MOVES.items() for to in sorted(ways)]


@pytest.mark.parametrize(("was", "to"), [m for m in EVERY_MOVE if m[1] is not Status.RETURNED])
def test_move_changes_stock_by_what_its_ends_differ(was: Status, to: Status) -> None:
    difference = tuple(then - now for now, then in zip(STANDING[was], STANDING[to], strict=True))

    effect = STOCK_EFFECTS.get((was, to))

    if effect is None:
        assert difference == (0, 0, 0)
    else:
        assert (effect.on_hand, effect.reserved, effect.promised) == difference
        held = Status.BACKORDERED not in {was, to} or to is Status.RESERVED
        assert effect.reservation == (RESERVATION[to] if held else None)


def test_no_effect_is_declared_for_what_is_no_move_or_changes_nothing() -> None:
    idle = {m for m in EVERY_MOVE if STANDING.get(m[0]) == STANDING.get(m[1])}

    assert set(STOCK_EFFECTS) <= set(EVERY_MOVE) - idle


def test_order_that_is_cancelled_after_payment_leaves_the_stock_as_it_was() -> None:
    path = (Status.PLACED, Status.RESERVED, Status.PAID, Status.CANCELLED)

    effects = [STOCK_EFFECTS[step] for step in pairwise(path)]

    assert sum(effect.on_hand for effect in effects) == 0
    assert sum(effect.reserved for effect in effects) == 0


STEPPED = {Status.PLACED, Status.BACKORDERED, Status.RESERVED, Status.PAID}


@pytest.mark.parametrize(
    ("status", "work"),
    [
        (Status.PLACED, (NewTask(Kind.RESERVE),)),
        (Status.BACKORDERED, (WAITS,)),
        (Status.RESERVED, (NewTask(Kind.CHARGE),)),
        (Status.PAID, (CONFIRMED,)),
        *((status, ()) for status in Status if status not in STEPPED),
    ],
)
def test_each_status_has_its_next_step_done(status: Status, work: tuple[NewTask, ...]) -> None:
    assert forward(status) == work


@pytest.mark.parametrize("status", [s for s, ways in MOVES.items() if Status.CANCELLED in ways])
def test_whoever_may_be_cancelled_is_told_and_gets_back_what_was_paid(status: Status) -> None:
    owed = (CANCELLED, UNDO) if status is Status.PAID else (CANCELLED,)

    assert compensation(status) == owed


@pytest.mark.parametrize("status", [s for s, ways in MOVES.items() if Status.CANCELLED not in ways])
def test_nothing_is_undone_for_an_order_that_cannot_be_cancelled(status: Status) -> None:
    assert compensation(status) == ()


def test_what_was_done_is_undone_last_step_first() -> None:
    undone = compensation(Status.PAID)
    declared = [step.undo for step in STEPS if step.undo in undone]

    assert list(undone) == declared[::-1]
    assert len(undone) == 2


def test_no_step_stands_in_an_order_that_cannot_have_come_to_it() -> None:
    for step in STEPS:
        # A customer is told of the end of an order whatever was done for it.
        told = step.undo is not None and step.undo.kind is Kind.NOTIFY
        assert told or step.stands <= _reached(step.after)


def _reached(start: Status) -> set[Status]:
    reached = {start}
    while more := set[Status]().union(*(MOVES[status] for status in reached)) - reached:
        reached |= more
    return reached
