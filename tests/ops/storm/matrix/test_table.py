"""The matrix misses nothing: every point has a story, every action is tried or explained."""

import pytest

from ops.storm.matrix.table import MEANINGLESS, STORIES, Case, UnknownPoint, cases
from ops.telemetry import faultpoint
from ops.telemetry.faultpoint import POINTS, Action, Call, Commit


def test_every_point_has_a_story() -> None:
    assert STORIES.keys() == {*Commit, *Call}


def test_every_action_is_tried_at_every_point_or_means_nothing_there() -> None:
    tried = {(case.point, case.action) for case in cases()}

    assert tried | MEANINGLESS.keys() == {(p, action) for p in POINTS for action in Action}
    assert not tried & MEANINGLESS.keys()


def test_cases_have_names_and_settings_of_their_own() -> None:
    every = cases()

    assert len({case.name for case in every}) == len({case.setting for case in every}) == len(every)
    assert all(faultpoint.parse(case.setting) for case in every)


def test_cases_that_wait_for_leases_come_first() -> None:
    stops = [case.action is Action.STOP for case in cases()]

    assert stops == sorted(stops, reverse=True)


@pytest.mark.parametrize(
    ("points", "actions", "settings"),
    [
        (["call-mail.after"], ["kill9"], ["call-mail.after:1:kill9"]),
        (["call-mail"], ["drop"], ["call-mail.before:1:drop", "call-mail.after:1:drop"]),
        (["call-webhook-answer"], ["drop"], []),
    ],
)
def test_cases_can_be_chosen(points: list[str], actions: list[str], settings: list[str]) -> None:
    assert [case.setting for case in cases(points, actions)] == settings


@pytest.mark.parametrize(
    ("points", "actions"), [(["call-maul"], []), (["call-mail.within"], []), ([], ["kill"])]
)
def test_unknown_names_are_refused_with_those_there_are(
    points: list[str], actions: list[str]
) -> None:
    with pytest.raises(UnknownPoint, match=r"is named .*: there are .*,"):
        cases(points, actions)


def test_name_of_a_case_can_stand_in_a_key_and_an_address() -> None:
    assert all(set(case.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for case in cases())
    assert isinstance(cases()[0], Case)
