import re

import pytest

from ops.telemetry import trace

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{SPAN}-01"
VALID = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def test_a_child_keeps_the_trace_and_the_sampling_and_is_a_span_of_its_own() -> None:
    child = trace.child(GIVEN)

    assert VALID.fullmatch(child)
    assert child.startswith(f"00-{TRACE}-")
    assert child.endswith("-01")
    assert SPAN not in child


@pytest.mark.parametrize(
    "parent",
    [
        None,
        "",
        "garbage",
        GIVEN.upper(),
        GIVEN + "-more",
        GIVEN[:-1],
        GIVEN + "\n",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
    ],
)
def test_without_a_valid_parent_a_fresh_trace_begins(parent: str | None) -> None:
    first, second = trace.child(parent), trace.child(parent)

    assert VALID.fullmatch(first)
    assert TRACE not in first
    assert first != second


def test_a_later_version_may_append_fields() -> None:
    assert trace.child(f"01-{TRACE}-{SPAN}-01-new").startswith(f"00-{TRACE}-")


def test_work_inside_follows_the_trace_and_work_after_does_not() -> None:
    with trace.following(GIVEN):
        assert trace.current().startswith(f"00-{TRACE}-")
        assert trace.trace_id() == TRACE

    assert trace.trace_id() is None


def test_outside_of_any_request_the_trace_is_fresh_but_stable() -> None:
    with trace.following(None):
        assert trace.current() == trace.current()
        assert VALID.fullmatch(trace.current())
