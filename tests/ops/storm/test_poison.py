import resource
import sys
from asyncio.subprocess import create_subprocess_exec
from signal import SIGKILL

import pytest

from domain.task import Kind, Task
from ops.local.program import CHECKOUT
from ops.storm.poison import Poison, take

TAKE = """
from domain.task import Kind, Task
from ops.storm.poison import take
take(Task(1, Kind.NOTIFY, None, {"poison": "sigkill"}, attempt=1, attempts_max=2))
"""


def test_memory_is_devoured_and_given_back() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    poison = Task(1, Kind.NOTIFY, None, {"poison": Poison.MEMORY}, attempt=1, attempts_max=2)

    with pytest.raises(MemoryError):
        take(poison)

    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert len(bytearray(64 << 20)) == 64 << 20


async def test_poison_that_kills_ends_the_process_that_takes_it() -> None:
    process = await create_subprocess_exec(sys.executable, "-c", TAKE, cwd=CHECKOUT)

    assert await process.wait() == -SIGKILL
