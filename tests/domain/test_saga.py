"""Stock follows the moves: after any path an order holds what its status says."""

from itertools import pairwise

import pytest

from domain.saga import STOCK_EFFECTS
from domain.status import MOVES, Status

# What an order of one unit has done to (on_hand, reserved), and the state of its reservation.
# What comes back is counted in by people, so of `returned` nothing is said.
STANDING = {
    Status.PLACED: (0, 0),
    Status.BACKORDERED: (0, 0),
    Status.RESERVED: (0, 1),
    Status.REVIEW: (0, 1),
    Status.PAID: (-1, 0),
    Status.SHIPPED: (-1, 0),
    Status.DELIVERED: (-1, 0),
    Status.CANCELLED: (0, 0),
}
RESERVATION = {Status.RESERVED: "held", Status.PAID: "committed", Status.CANCELLED: "released"}

EVERY_MOVE = [(was, to) for was, ways in MOVES.items() for to in sorted(ways)]


@pytest.mark.parametrize(("was", "to"), [m for m in EVERY_MOVE if m[1] is not Status.RETURNED])
def test_move_changes_stock_by_what_its_ends_differ(was: Status, to: Status) -> None:
    (on_hand, reserved), (on_hand_then, reserved_then) = STANDING[was], STANDING[to]
    difference = (on_hand_then - on_hand, reserved_then - reserved)

    effect = STOCK_EFFECTS.get((was, to))

    if effect is None:
        assert difference == (0, 0)
    else:
        assert (effect.on_hand, effect.reserved) == difference
        assert effect.reservation == RESERVATION[to]


def test_no_effect_is_declared_for_what_is_no_move_or_changes_nothing() -> None:
    idle = {m for m in EVERY_MOVE if STANDING.get(m[0]) == STANDING.get(m[1])}

    assert set(STOCK_EFFECTS) <= set(EVERY_MOVE) - idle


def test_order_that_is_cancelled_after_payment_leaves_the_stock_as_it_was() -> None:
    path = (Status.PLACED, Status.RESERVED, Status.PAID, Status.CANCELLED)

    effects = [STOCK_EFFECTS[step] for step in pairwise(path)]

    assert sum(effect.on_hand for effect in effects) == 0
    assert sum(effect.reserved for effect in effects) == 0
