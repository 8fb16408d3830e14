"""How attempts ended is counted and told, by ids and without what outsiders said."""

import logging
from uuid import UUID

import pytest
from prometheus_client import REGISTRY

from domain.task import DONE, Kind, State, Task, Verdict
from workers.telling import tell_ended

ORDER = UUID(int=7)
TASK = Task(3, Kind.CHARGE, ORDER, {}, 2, 20, f"00-{'a' * 32}-{'b' * 16}-01")
SAID = "550 ann@example.com is unknown here"


def _counted(outcome: str) -> float:
    labels = {"kind": "charge", "outcome": outcome}
    return REGISTRY.get_sample_value("orderflow_task_attempts_total", labels) or 0


@pytest.mark.parametrize(
    ("verdict", "outcome", "level"),
    [
        (DONE, "done", "DEBUG"),
        (Verdict(State.READY, SAID), "ready", "INFO"),
        (Verdict(State.READY, SAID, spent=False), "held", "DEBUG"),
        (Verdict(State.DEAD, SAID), "dead", "ERROR"),
    ],
)
def test_attempt_is_counted_and_told_by_its_ids(
    verdict: Verdict, outcome: str, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = _counted(outcome)

    with caplog.at_level(logging.DEBUG, logger="workers.telling"):
        tell_ended([(TASK, verdict)])

    [record] = caplog.records
    assert (record.levelname, record.message) == (level, f"Attempt ended: {outcome}")
    assert vars(record)["fields"] == {
        "task_id": 3,
        "kind": Kind.CHARGE,
        "attempt": 2,
        "order_id": ORDER,
        "trace_id": "a" * 32,
    }
    assert SAID not in str(vars(record))
    assert _counted(outcome) == before + 1
