"""Every operation of the OpenAPI document against the running process, by Schemathesis."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from db.engine import Database
from domain.principal import Role
from tests.api.sockets import web
from tests.people import logged_in, someone
from tests.staff import ADMIN_API_KEY

pytestmark = pytest.mark.asyncio(loop_scope="module")

# `make fuzz` gives minutes.
SECONDS = int(os.environ.get("FUZZ_SECONDS", "10"))
SEED = os.environ.get("FUZZ_SEED") or "1"
# Valid by the document and refused all the same: 1.0 for an integer, a cursor that was not made
# here, a key that was used before, a body whose parts contradict each other. JSON Schema has no
# words for these, so Schemathesis takes them for mistakes.
NOT_CHECKED = "positive_data_acceptance"
# It finds the id of the process that it asks, and has it stop.
NOT_ASKED = "/v1/processes/{process_id}/stop"
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
async def test_the_process_keeps_to_its_document_for_a_machine(port: int, tmp_path: Path) -> None:
    await keeps_to_its_document(port, ADMIN_API_KEY, tmp_path)


@pytest.mark.timeout(SECONDS + BESIDES_S)
async def test_the_process_keeps_to_its_document_for_a_person(
    port: int, shop_database: Database, tmp_path: Path
) -> None:
    await someone(shop_database, role=Role.ADMIN)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        person = await logged_in(client)

    # One who logs out or goes away is told nothing but that.
    await keeps_to_its_document(port, person.access_token, tmp_path, "--exclude-method", "DELETE")


async def keeps_to_its_document(port: int, token: str, cwd: Path, *options: str) -> None:
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{port}/openapi.json"),
        *("--header", f"Authorization: Bearer {token}"),
        *("--exclude-checks", NOT_CHECKED, "--exclude-path", NOT_ASKED),
        *("--max-time", str(SECONDS), "--seed", SEED, "--no-color"),
        *options,
        cwd=cwd,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await running.communicate()

    assert running.returncode == 0, said.decode()
