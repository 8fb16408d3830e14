"""Causes: errors that differ in ids and numbers alone are of one."""

import pytest

from domain.cause import cause, telling


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Timed out after 10.0 s.", "Timed out after 12.5 s."),
        (
            "There is no order 01a1fc38-e824-799d-91fa-a3621629b8c6.",
            "There is no order 01a1fc38-0000-7000-8000-00000000ad00.",
        ),
        ("pi_3Nabc123 was refused", "pi_9Zdef456 was refused"),
        ("at 0x7fa1b2 in <main>", "at 0x00c0ff in <main>"),
        (
            "[Errno 111] Connect call failed ('127.0.0.1', 25)",
            "[Errno 104] Connect call failed ('10.0.0.7', 2525)",
        ),
    ],
)
def test_errors_that_differ_in_ids_and_numbers_have_one_cause(one: str, other: str) -> None:
    assert cause(one) == cause(other)
    assert telling(cause(one)) in one
    assert telling(cause(one)) in other


def test_other_errors_have_other_causes() -> None:
    assert cause("The card was declined.") != cause("The card has expired.")
    assert cause(None) == cause("")
