"""On a terminal records are for people: one line each, in colour if they want it."""

import io
import logging

import pytest

from ops.telemetry import logs, readable
from ops.telemetry.readable import Readable


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _line(
    message: str, *, colours: bool = False, level: int = logging.INFO, **fields: object
) -> str:
    record = logging.makeLogRecord(
        {"name": "orders", "msg": message, "levelno": level, "created": 0.25, "fields": fields}
    )
    record.levelname = logging.getLevelName(level)
    return Readable(logs.fields_of, colours=colours).format(record)


def test_a_record_is_time_level_words_logger_and_fields() -> None:
    assert _line("3 placed", group=3) == "00:00:00.250 info    3 placed  orders group=3"


def test_colours_are_those_of_the_level_and_end() -> None:
    line = _line("gone", colours=True, level=logging.ERROR)

    assert "\x1b[31merror   gone\x1b[0m" in line
    assert line.endswith("\x1b[0m")


def test_nothing_that_is_told_steers_the_terminal() -> None:
    line = _line("a\nb\x1b[2J", note="\x9b31m\r")

    assert "\\u000ab\\u001b[2J" in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_who_can_see_and_wants_them(
    environ: dict[str, str],
    wanted: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert readable.may_colour(Terminal(), environ) is wanted
    assert not readable.may_colour(io.StringIO(), environ)


@pytest.mark.parametrize(
    ("form", "on_terminal", "elsewhere"),
    [("auto", True, False), ("json", False, False), ("text", True, True)],
)
def test_form_is_that_of_the_setting_or_of_the_stream(
    form: str,
    on_terminal: bool,  # noqa: FBT001 - a parameter of the test
    elsewhere: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert readable.is_wanted(form, Terminal()) is on_terminal
    assert readable.is_wanted(form, io.StringIO()) is elsewhere
