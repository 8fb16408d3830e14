import pytest

from ops.dashboard import charts
from ops.dashboard.charts import Series, chart, path


def test_line_goes_from_the_first_value_to_the_last_and_up_to_the_ceiling() -> None:
    assert path([0, 5, 10], 10) == "M0 100L300 50L600 0"


def test_line_has_a_gap_where_there_is_no_value() -> None:
    assert path([1, 1, None, 1, 1], 1) == "M0 0L150 0M450 0L600 0"


def test_lone_value_is_seen_and_nothing_is_drawn_of_none() -> None:
    assert path([None, 1, None], 1) == "M300 0L301 0"
    assert path([None, None], 1) == ""


def test_area_ends_on_the_ground() -> None:
    assert charts.area([10, 10], 10) == "M0 100L0 0L600 0L600 100Z"


@pytest.mark.parametrize(
    ("value", "ceiling"), [(0, 1), (-1, 1), (0.3, 0.5), (1, 1), (1.01, 2), (7, 10), (120, 200)]
)
def test_ceiling_is_a_round_number_above(value: float, ceiling: float) -> None:
    assert charts.rounded_up(value) == pytest.approx(ceiling)


def test_chart_says_what_it_shows() -> None:
    drawn = chart("Orders", Series("paid", [1, None, 4]), Series("lost", [None] * 3), unit="a day")

    assert drawn.says == "paid: now 4, between 1 and 4 a day; lost: no values"
    assert drawn.ceiling == 5
