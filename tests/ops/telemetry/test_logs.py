import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY

from ops.telemetry import logs, trace

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("web", "info", stream)
    root.handlers[:] = [*before, *root.handlers]
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def test_a_record_is_one_line_of_json(lines: Lines) -> None:
    logging.getLogger("orders").info("%d placed", 3, extra={"fields": {"group": 3}})

    (line,) = lines()
    assert line.pop("ts").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "orders",
        "process": "web",
        "msg": "3 placed",
        "group": 3,
    }


def test_ids_are_in_every_record_made_inside_and_in_none_after(lines: Lines) -> None:
    with logs.bound(request_id="r1"), logs.bound(order_id="o1"):
        logging.getLogger("a").info("inside")
    logging.getLogger("a").info("after")

    inside, after = lines()
    assert (inside["request_id"], inside["order_id"]) == ("r1", "o1")
    assert "request_id" not in after


def test_the_trace_joins_records_of_web_and_worker(lines: Lines) -> None:
    with trace.following(f"00-{'a' * 32}-{'b' * 16}-01"):
        logging.getLogger("a").info("inside")

    assert lines()[0]["trace_id"] == "a" * 32


def test_an_exception_is_one_field(lines: Lines) -> None:
    logging.getLogger("a").error("failed", exc_info=ValueError("first\nsecond"))

    (line,) = lines()
    assert line["exception"] == "ValueError: first\nsecond"


@pytest.mark.parametrize("char", [*map(chr, range(32)), "\x7f", "\x85", "\x9b", "\u2028", "\u2029"])
def test_no_character_breaks_a_line_or_reaches_a_terminal(char: str) -> None:
    line = logs.encode({"msg": f"a{char}b", "é": "ü"})

    assert char not in line
    assert json.loads(line) == {"msg": f"a{char}b", "é": "ü"}


def test_text_that_is_not_unicode_does_not_cost_the_record() -> None:
    line = logs.encode({"msg": "file \udcff", "fields": {"deep": "\ud800"}, "what": object})

    assert json.loads(line)["msg"] == "file \udcff"


def test_values_json_does_not_know_are_shown_by_their_repr() -> None:
    assert json.loads(logs.encode({"what": 1j})) == {"what": "1j"}


def test_level_is_obeyed_and_chatty_libraries_are_quiet(lines: Lines) -> None:
    logging.getLogger("a").debug("no")
    logging.getLogger("uvicorn.access").info("no")
    logging.getLogger("uvicorn.error").info("yes")

    assert [line["msg"] for line in lines()] == ["yes"]


def test_what_a_handler_finds_out_is_in_the_records_after_it(lines: Lines) -> None:
    with logs.bound(request_id="r1"):
        logs.bind(order_id="o1")
        logging.getLogger("a").info("inside")
    logging.getLogger("a").info("after")

    inside, after = lines()
    assert (inside["request_id"], inside["order_id"]) == ("r1", "o1")
    assert "order_id" not in after


def test_trace_that_a_record_names_is_not_that_of_who_tells_it(lines: Lines) -> None:
    with trace.following(f"00-{'a' * 32}-{'b' * 16}-01"):
        logging.getLogger("a").info("of a group", extra={"fields": {"trace_id": "c" * 32}})

    assert lines()[0]["trace_id"] == "c" * 32


def test_warnings_are_counted_by_their_level(lines: Lines) -> None:
    def counted(level: str) -> float:
        name = "orderflow_log_records_total"
        return REGISTRY.get_sample_value(name, {"level": level}) or 0

    before = counted("warning"), counted("info")

    logging.getLogger("a").warning("once")
    logging.getLogger("a").info("never")

    assert len(lines()) == 2
    assert (counted("warning"), counted("info")) == (before[0] + 1, before[1])
