"""The moves between statuses are closed and lead from placed to an end."""

from domain.status import MOVES, Status


def test_every_status_says_where_it_moves() -> None:
    assert set(MOVES) == set(Status)


def test_no_status_moves_to_itself() -> None:
    assert [status for status, ways in MOVES.items() if status in ways] == []


def test_only_cancelled_and_returned_are_ends() -> None:
    assert {status for status, ways in MOVES.items() if not ways} == {
        Status.CANCELLED,
        Status.RETURNED,
    }


def test_every_status_is_reached_from_placed() -> None:
    reached = {Status.PLACED}
    while more := set[Status]().union(*(MOVES[status] for status in reached)) - reached:
        reached |= more

    assert reached == set(Status)


def test_every_status_but_an_end_leads_to_an_end() -> None:
    leading = {Status.CANCELLED, Status.RETURNED}
    while more := {s for s, ways in MOVES.items() if ways & leading} - leading:
        leading |= more

    assert leading == set(Status)
