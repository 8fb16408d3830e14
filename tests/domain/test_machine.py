"""Whatever happens to an order, and in whatever order it does, its money stays right."""

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from domain.event import kind
from domain.status import Status
from tests.domain.bugs.seeded import BUGS, RIGHT
from tests.domain.machine.laws import check, check_at_rest, quieten
from tests.domain.machine.people import ACTIONS, Action, begin
from tests.domain.machine.schedule import run
from tests.domain.machine.world import Decisions, Pick, World

SCHEDULES = 10_000
GROUP = 500

EVENTS = {
    *("order_placed", "stock_reserved", "order_paid", "order_shipped", "order_cancelled"),
    *("payment_authorized", "payment_declined", "payment_method_changed", "payment_captured"),
    *("payment_action_required", "payment_unknown", "payment_in_review", "payment_resolved"),
    *("late_payment", "payment_requested", "payment_voided", "payment_refunded"),
    *("payment_refused", "authorization_expired"),
}


@pytest.mark.parametrize("first", range(0, SCHEDULES, GROUP))
def test_no_schedule_breaks_a_law_of_the_money(first: int) -> None:
    ended = {run(seed, RIGHT).records.order.status for seed in range(first, first + GROUP)}

    assert ended == {Status.PAID, Status.SHIPPED, Status.CANCELLED}


def test_schedules_come_to_everything_that_can_happen_to_the_money_of_an_order() -> None:
    worlds = [run(seed, RIGHT) for seed in range(GROUP)]

    happened = [entry for world in worlds for entry in world.records.events]
    assert {kind(event) for _, event in happened} == EVENTS
    assert {status for status, _ in happened} >= {Status.REVIEW, Status.SHIPPED}


def _run_all(decisions: Decisions) -> None:
    for seed in range(SCHEDULES):
        run(seed, decisions)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("bug", BUGS)
def test_seeded_bug_is_found_by_the_schedules(bug: str) -> None:
    with pytest.raises(AssertionError):
        _run_all(BUGS[bug])


def _drawn(data: st.DataObject) -> Pick:
    return lambda options: data.draw(st.sampled_from(options))


class OrderMachine(RuleBasedStateMachine):
    """The same world, steered by Hypothesis: it looks for a break and gives the shortest one."""

    decisions: Decisions = RIGHT
    world: World

    @initialize(data=st.data())
    def order_is_placed(self, data: st.DataObject) -> None:
        self.world = World(_drawn(data), self.decisions)
        begin(self.world, _drawn(data))

    @rule(act=st.sampled_from(list(ACTIONS)), data=st.data())
    def it_happens(self, act: Action, data: st.DataObject) -> None:
        act(self.world, _drawn(data))

    @invariant()
    def laws_hold(self) -> None:
        check(self.world)

    def teardown(self) -> None:
        quieten(self.world)
        check_at_rest(self.world)


class BrokenMachine(OrderMachine):
    decisions = BUGS["an unknown outcome is a decline"]


def _search(machine: type[OrderMachine], *phases: Phase) -> None:
    limits = settings(
        max_examples=200, stateful_step_count=30, derandomize=True, deadline=None, phases=phases
    )
    run_state_machine_as_test(machine, settings=limits)


def test_hypothesis_finds_no_history_that_breaks_a_law() -> None:
    _search(OrderMachine, *Phase)


def test_hypothesis_finds_a_history_that_a_seeded_bug_breaks() -> None:
    with pytest.raises(AssertionError):
        _search(BrokenMachine, Phase.generate)
