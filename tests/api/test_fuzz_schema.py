"""Every operation of the OpenAPI document against the running process, by Schemathesis."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from db.engine import Database
from tests.api.sockets import web
from tests.conftest import ADMIN_API_KEY

pytestmark = pytest.mark.asyncio(loop_scope="module")

# `make fuzz` gives minutes.
SECONDS = int(os.environ.get("FUZZ_SECONDS", "10"))
# Valid by the document and refused all the same: 1.0 for an integer, a cursor that was not made
# here, a key that was used before, a body whose parts contradict each other. JSON Schema has no
# words for these, so Schemathesis takes them for mistakes.
NOT_CHECKED = "positive_data_acceptance"
# What it takes to start, to end, and to tell a failure in few words.
BESIDES_S = 100


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(
    database_url: str,
    redis_url: str,
    shop_database: Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[int]:
    del shop_database
    log = tmp_path_factory.mktemp("fuzz") / "log"
    async with web(database_url, redis_url, log) as process:
        yield process.port


@pytest.mark.timeout(SECONDS + BESIDES_S)
async def test_the_process_keeps_to_its_document(port: int, tmp_path: Path) -> None:
    command = (
        *(sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{port}/openapi.json"),
        *("--header", f"Authorization: Bearer {ADMIN_API_KEY}"),
        *("--exclude-checks", NOT_CHECKED),
        *("--max-time", str(SECONDS), "--seed", "1", "--no-color"),
    )
    running = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await running.communicate()

    assert running.returncode == 0, said.decode()
