"""What a bulk leaves out: whatever could move money twice, or leave an order waiting for ever."""

import pytest

from domain.bulk import AT_MONEY, WHY, Alike, BulkAction, LeftOut, judge
from domain.task import Kind, State


def task(
    kind: str = Kind.NOTIFY,
    state: State = State.DEAD,
    *,
    due: bool = True,
    paying: bool = False,
) -> Alike:
    return Alike(kind, state, due, paying)


@pytest.mark.parametrize(
    ("action", "alike", "reason"),
    [
        (BulkAction.REPLAY, task(), None),
        (BulkAction.REPLAY, task(Kind.CHARGE), None),
        (BulkAction.REPLAY, task(Kind.CHARGE, paying=True), LeftOut.AT_GATEWAY),
        (BulkAction.REPLAY, task(Kind.NOTIFY, paying=True), None),
        (BulkAction.REPLAY, task(state=State.READY), LeftOut.DUE),
        (BulkAction.REPLAY, task(state=State.READY, due=False), None),
        (BulkAction.REPLAY, task("teleport"), LeftOut.NEWER),
        (BulkAction.CANCEL, task(state=State.READY), None),
        (BulkAction.CANCEL, task(Kind.REFUND, State.READY), LeftOut.NEEDED),
        (BulkAction.CANCEL, task(Kind.FILL_BACKORDERS, State.READY), LeftOut.NEEDED),
        (BulkAction.DISCARD, task(), None),
        (BulkAction.DISCARD, task(Kind.RESERVE), LeftOut.NEEDED),
        (BulkAction.DISCARD, task(Kind.IMPORT), LeftOut.NEEDED),
    ],
)
def test_bulk_leaves_out_what_a_person_should_look_at(
    action: BulkAction, alike: Alike, reason: LeftOut | None
) -> None:
    assert judge(action, alike) is reason


@pytest.mark.parametrize("action", [BulkAction.REPLAY, BulkAction.CANCEL, BulkAction.DISCARD])
@pytest.mark.parametrize("state", [State.RUNNING, State.DONE, State.CANCELLED])
def test_nothing_that_runs_or_has_ended_is_ever_touched(action: BulkAction, state: State) -> None:
    assert judge(action, task(state=state)) is LeftOut.WRONG_STATE


@pytest.mark.parametrize("action", [BulkAction.REPLAY, BulkAction.CANCEL, BulkAction.DISCARD])
@pytest.mark.parametrize("kind", sorted(AT_MONEY))
@pytest.mark.parametrize("state", State)
def test_no_bulk_touches_an_order_whose_payment_is_open(
    action: BulkAction, kind: Kind, state: State
) -> None:
    assert judge(action, task(kind, state, paying=True)) is not None


def test_every_reason_is_told() -> None:
    assert WHY.keys() == set(LeftOut)
