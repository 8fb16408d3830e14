"""Which discounts are for which orders, and what is said of those that are not."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain.discount import (
    Discount,
    DiscountKind,
    DiscountNotApplicable,
    fits,
    normal,
    refuse_unfit,
)

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
TENTH = Discount(UUID(int=1), DiscountKind.PERCENTAGE, 1_000, code="TENTH")


def test_code_is_the_same_however_it_is_written() -> None:
    assert normal(" black-Friday ") == normal("BLACK-FRIDAY")


def test_discount_without_conditions_fits() -> None:
    refuse_unfit(TENTH, {"MUG"}, 1, "EUR", now=NOW)

    assert fits(TENTH, {"MUG"}, 1, "EUR", now=NOW)


def test_discount_is_given_from_its_start_until_just_before_its_end() -> None:
    bounded = msgspec.structs.replace(TENTH, starts_at=NOW, ends_at=NOW + timedelta(hours=1))

    given = [
        fits(bounded, {"MUG"}, 1, "EUR", now=NOW + timedelta(minutes=minutes))
        for minutes in (-1, 0, 59, 60)
    ]

    assert given == [False, True, True, False]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"starts_at": NOW + timedelta(days=1)}, "not given yet"),
        ({"ends_at": NOW}, "not given any more"),
        ({"currency": "GBP"}, "in GBP, not EUR"),
        ({"minimum_minor": 5_000}, "at least 5000 minor units; these are 4999"),
        ({"skus": frozenset({"POT"})}, "other products"),
    ],
)
def test_discount_that_does_not_fit_says_why(changes: dict[str, Any], reason: str) -> None:
    unfit = msgspec.structs.replace(TENTH, **changes)

    with pytest.raises(DiscountNotApplicable, match=f"TENTH.*{reason}") as refused:
        refuse_unfit(unfit, {"MUG"}, 4_999, "EUR", now=NOW)

    assert refused.value.field == "discount_codes"
    assert not fits(unfit, {"MUG"}, 4_999, "EUR", now=NOW)
