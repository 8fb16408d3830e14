"""When who waits may expect it: on the day that brings the last of it, if anybody knows."""

from datetime import date

import pytest

from domain.backorder import Due, Wait, expected

MAY, JUNE, JULY = date(2027, 5, 1), date(2027, 6, 1), date(2027, 7, 1)


@pytest.mark.parametrize(
    ("waits", "day"),
    [
        ([], None),
        ([Wait(0, [])], None),
        ([Wait(2, [Due(2, MAY)])], MAY),
        ([Wait(3, [Due(2, JUNE), Due(1, MAY)])], JUNE),
        ([Wait(3, [Due(2, MAY)])], None),
        ([Wait(3, [Due(2, MAY)], JULY)], JULY),
        ([Wait(1, [Due(1, MAY)], JUNE)], JUNE),
        ([Wait(1, [Due(9, None)])], None),
        ([Wait(1, [Due(1, MAY)]), Wait(1, [Due(1, JUNE)]), Wait(-3, [])], JUNE),
        ([Wait(1, [Due(1, MAY)]), Wait(1, [])], None),
    ],
)
def test_the_last_of_all_that_is_missing_says_the_day(waits: list[Wait], day: date | None) -> None:
    assert expected(waits) == day
