"""A witness: the plugin of pytest that writes down how each failed test failed."""

from collections.abc import Generator
from pathlib import Path
from typing import cast

import msgspec
import pytest

_SAID_CHARS_MAX = 300


class Failure(msgspec.Struct, frozen=True):
    """A test that failed; `asserted` says that it did so by an assertion of its own."""

    test: str
    during: str  # "call", or "setup" and "teardown", which say nothing of a guard
    asserted: bool
    error: str
    said: str


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the file for the failures."""
    parser.addoption("--witness", type=Path, required=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write a failure down."""
    report = yield
    if report.failed and call.excinfo is not None:
        seen = failure(item.nodeid, call.when, call.excinfo.value)
        with cast("Path", item.config.getoption("--witness")).open("ab") as file:
            file.write(msgspec.json.encode(seen) + b"\n")
    return report


def failure(test: str, during: str, error: BaseException) -> Failure:
    """Say how a test failed; of a group of exceptions the first one counts."""
    found = _innermost(error)
    said = str(found)[:_SAID_CHARS_MAX]
    return Failure(test, during, _is_assertion(found), type(found).__name__, said)


def _is_assertion(error: BaseException) -> bool:
    """Tell whether a test was not content, and did neither crash nor run out of time."""
    if isinstance(error, pytest.fail.Exception):
        return not str(error).startswith("Timeout")
    return isinstance(error, AssertionError)


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error
