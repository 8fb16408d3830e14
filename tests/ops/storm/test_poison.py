import resource

import pytest

from domain.task import Kind, Task
from ops.storm.poison import Poison, take


def a_task(**payload: str) -> Task:
    return Task(1, Kind.NOTIFY, None, payload, attempt=1, attempts_max=3)


def test_memory_is_devoured_and_given_back() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)

    with pytest.raises(MemoryError):
        take(a_task(poison=Poison.MEMORY))

    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert len(bytearray(64 << 20)) == 64 << 20


@pytest.mark.parametrize("payload", [{}, {"poison": "exception"}])
def test_task_without_harm_of_its_own_does_none(payload: dict[str, str]) -> None:
    take(a_task(**payload))
