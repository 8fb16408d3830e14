"""Ids are UUIDs of version 7, ordered by the moment they were made at."""

import time
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from db.ids import first_id, new_id

NONE = timedelta()


def test_id_is_a_uuid_of_version_seven() -> None:
    made = new_id()

    assert (made.version, made.variant) == (7, "specified in RFC 4122")


def test_ids_do_not_repeat() -> None:
    assert len({new_id() for _ in range(10_000)}) == 10_000


def test_id_says_when_it_was_made() -> None:
    before_ms = time.time_ns() // 1_000_000
    made = new_id()
    after_ms = time.time_ns() // 1_000_000

    assert before_ms <= made.int >> 80 <= after_ms


def test_id_lies_between_the_bounds_of_its_time() -> None:
    before, made, after = datetime.now(UTC), new_id(), datetime.now(UTC)

    assert first_id(before, apart=NONE) <= made
    assert made < first_id(after, apart=timedelta(milliseconds=1))


@given(st.datetimes(timezones=st.timezones()), st.timedeltas(timedelta(0), timedelta(days=1)))
@settings(deadline=None)
def test_later_times_have_no_lower_bounds(at: datetime, apart: timedelta) -> None:
    assert first_id(at, apart=-apart) <= first_id(at, apart=NONE) <= first_id(at, apart=apart)


def test_time_without_a_zone_is_in_utc() -> None:
    at = datetime(2026, 1, 1, 12, tzinfo=UTC)

    assert first_id(at.replace(tzinfo=None), apart=NONE) == first_id(at, apart=NONE)
