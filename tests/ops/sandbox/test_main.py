import resource
import time
from pathlib import Path

import aiohttp
import pytest

from ops.sandbox import ledger
from tests.ops.sandbox.caller import Caller
from tests.outside import Sandbox, Start


async def test_sigterm_ends_it_at_once_though_answers_are_held_back(
    start: Start, tmp_path: Path
) -> None:
    sandbox = start(tmp_path)
    async with aiohttp.ClientSession() as session:
        request = session.post(
            f"{sandbox.gateway_url}/v1/payment_intents",
            headers={"Authorization": "Bearer sk_x"},
            data={
                "amount": "1",
                "currency": "gbp",
                "confirm": "true",
                "payment_method": "pm_sandbox_charged_then_timeout",
            },
            timeout=aiohttp.ClientTimeout(total=0.5),
        )
        with pytest.raises(TimeoutError):
            await request

    began = time.monotonic()
    assert sandbox.stop() == 0

    # The answer is held back for a minute; a third of a second is what is waited for.
    assert time.monotonic() - began < 5
    assert sandbox.logged() == ""
    assert sum(each.captures for each in ledger.settlements(tmp_path).values()) == 1


def test_given_ports_are_used_and_a_taken_one_is_named(
    start: Start, outside: Sandbox, tmp_path: Path
) -> None:
    port = outside.gateway_url.rpartition(":")[2]

    with pytest.raises(AssertionError, match=f"cannot start.*{port}"):
        start(tmp_path, SANDBOX_GATEWAY_PORT=port)


def test_folder_in_use_is_refused_with_the_remedy(start: Start, outside: Sandbox) -> None:
    with pytest.raises(AssertionError, match="set another SANDBOX_DIR"):
        start(outside.folder)
    (outside.folder / "stderr").write_text("")


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="Only Linux limits another process.")
async def test_ledger_that_cannot_be_written_ends_the_process(start: Start, tmp_path: Path) -> None:
    sandbox = start(tmp_path)
    async with aiohttp.ClientSession() as session:
        caller = Caller(session, sandbox.gateway_url)
        # The limit is of every file, so the ledger has to be longer than what goes to stderr.
        for _ in range(60):
            await caller.charge(order_id="kept")
        limit = (tmp_path / ledger.FILE).stat().st_size + 10
        resource.prlimit(sandbox.process.pid, resource.RLIMIT_FSIZE, (limit, limit))

        unkept = await caller.charge(order_id="not kept")

    assert unkept.status == 500
    assert sandbox.process.wait(5) == 1
    assert sandbox.stop() == 1
    assert start(tmp_path).stop() == 0
    assert set(ledger.settlements(tmp_path)) == {"kept"}
