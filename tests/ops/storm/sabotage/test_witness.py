import pytest

from ops.storm.sabotage.witness import failure


def raised(error: BaseException) -> tuple[bool, str]:
    seen = failure("test_door.py::test_it", "call", error)
    return seen.asserted, seen.error


def test_what_a_test_asserts_is_told_from_what_it_stumbles_over() -> None:
    with pytest.raises(pytest.fail.Exception) as nothing, pytest.raises(ValueError, match=r"^$"):
        pass

    assert raised(AssertionError("no")) == (True, "AssertionError")
    assert raised(nothing.value) == (True, "Failed")
    assert raised(ExceptionGroup("tasks", [AssertionError("no")])) == (True, "AssertionError")
    assert raised(NameError("no")) == (False, "NameError")
    assert raised(ExceptionGroup("tasks", [NameError("no")])) == (False, "NameError")


def test_test_that_was_out_of_time_has_asserted_nothing() -> None:
    with pytest.raises(pytest.fail.Exception) as late:
        pytest.fail("Timeout (>60.0s) from pytest-timeout.")

    assert raised(late.value) == (False, "Failed")
