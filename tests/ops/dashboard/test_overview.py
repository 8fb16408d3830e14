"""What the overview makes of what it reads."""

from datetime import UTC, datetime

from db.breakers import BreakerView
from ops.dashboard.overview import breaker_rows


def test_gateway_is_as_its_worst_breaker_is_and_closed_if_none_ever_opened() -> None:
    now = datetime.now(UTC)
    told = [("stripe", "closed"), ("stripe", "open"), ("stripe", "half-open"), ("old", "half-open")]
    views = [BreakerView(name, f"host:{pid}", is_, now) for pid, (name, is_) in enumerate(told)]

    rows = breaker_rows(["stripe", "other"], views)

    assert [(row.gateway, row.state, row.tone) for row in rows] == [
        ("old", "half-open", "warn"),
        ("other", "closed", "good"),
        ("stripe", "open", "bad"),
    ]
