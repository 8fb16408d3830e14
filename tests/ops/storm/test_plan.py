import msgspec
import pytest

from ops.storm.faults.table import FAULTS, UnknownFault, chosen
from ops.storm.plan import Kind, deliveries, prices, stock, stories, strikes

SECONDS = 120.0


def test_same_seed_gives_the_same_load_and_faults_byte_for_byte() -> None:
    first, second = (
        msgspec.json.encode([stories(7, SECONDS), strikes(7, SECONDS, chosen("all"))])
        for _ in range(2)
    )

    assert first == second


def test_another_seed_gives_another_storm() -> None:
    assert stories(7, SECONDS) != stories(8, SECONDS)
    assert strikes(7, SECONDS, chosen("all")) != strikes(8, SECONDS, chosen("all"))


def test_load_does_not_depend_on_which_faults_are_chosen() -> None:
    few = strikes(7, SECONDS, chosen("kill9-web"))

    assert {strike.fault for strike in few} == {"kill9-web"}


def test_storm_of_two_minutes_has_five_thousand_orders() -> None:
    assert len(stories(7, SECONDS)) >= 5000


def test_storm_of_two_minutes_has_every_fault_whatever_its_seed() -> None:
    for seed in range(30):
        assert {s.fault for s in strikes(seed, SECONDS, chosen("all"))} == set(FAULTS), seed


def test_keys_are_of_one_order_each() -> None:
    told = stories(7, SECONDS)

    assert len({story.key for story in told}) == len(told)


def test_stock_of_what_is_hot_is_not_enough_and_of_the_rest_it_is() -> None:
    told = stories(7, SECONDS)
    wanted = {
        sku: sum(n for story in told for item, n in story.items if item == sku) for sku in prices()
    }

    had = stock(told)
    short = {sku for sku in prices() if had[sku] < wanted[sku]}
    come = deliveries(told, SECONDS)
    for delivery in come:
        had[delivery.sku] += delivery.quantity

    assert short == {sku for sku in prices() if sku.startswith(("HOT", "LATE"))}
    assert {sku for sku in short if had[sku] == wanted[sku]} == {d.sku for d in come}
    assert [delivery.at_s for delivery in come] == [0.4 * SECONDS] * 2 + [SECONDS] * 2


@pytest.mark.parametrize("seconds", [10.0, SECONDS])
def test_faults_of_one_lane_never_overlap_and_all_end_in_time(seconds: float) -> None:
    lane_of = {kind.name: kind.lane for kind in chosen("all")}
    drawn = strikes(7, seconds, chosen("all"))

    for lane in set(lane_of.values()):
        own = [strike for strike in drawn if lane_of[strike.fault] == lane]
        ends = [strike.at_s + strike.seconds for strike in own]
        assert all(end < after.at_s for end, after in zip(ends, own[1:], strict=False))
        assert all(end <= seconds for end in ends)


def test_every_fault_of_a_lane_strikes_once_before_one_strikes_again() -> None:
    kinds = [Kind(f"fault-{n}", "lane", 0.5) for n in range(5)]

    drawn = [strike.fault for strike in strikes(7, 60.0, kinds)]

    assert len(drawn) > 2 * len(kinds)
    assert {*drawn[:5]} == {*drawn[5:10]} == {kind.name for kind in kinds}


def test_all_faults_or_those_named_are_chosen() -> None:
    assert [kind.name for kind in chosen("all")] == list(FAULTS)
    assert [kind.name for kind in chosen("redis-kill, deadlock")] == ["redis-kill", "deadlock"]
    assert chosen("none") == []


def test_fault_that_is_none_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownFault, match=r"No fault is named redis-klil: there are kill9-web"):
        chosen("redis-klil")
