"""What scenarios stand on: processes need a place, and an outside, which the test plays."""

import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import redis.asyncio

from db.engine import Database
from ops.config import Settings
from tests.bank import Bank, bank
from tests.postbox import Postbox, postbox
from tests.scenarios.line import listening
from tests.scenarios.processes import Surroundings

__all__ = ["bank", "postbox"]


@pytest.fixture
async def surroundings(
    settings: Settings,
    database: Database,
    valkey: "redis.asyncio.Redis",
    bank: Bank,
    postbox: Postbox,
) -> AsyncGenerator[Surroundings]:
    """A place for processes: empty tables, an empty broker, and an outside that answers."""
    del database, valkey
    # Sockets need a short path, which pytest's own folders do not have.
    with tempfile.TemporaryDirectory(prefix="of-") as folder:
        made = Surroundings(settings, Path(folder, "outside"), Path(folder, "web"))
        async with listening(made.outside, bank, postbox):
            yield made
