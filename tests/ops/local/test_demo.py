"""The demo as a user starts it, and what its numbers mean."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from ops.local.demo import percentile_ms

ORDERS = 120


async def run_demo(state: Path, env: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """Run it as a user does; exit code and output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.local", "demo", "--state", str(state), *arguments),
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    written, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, written.decode()


@pytest.mark.usefixtures("database")
async def test_demo_takes_every_order_to_its_end_and_sums_it_up_in_its_last_line(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    env = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url}

    code, text = await run_demo(tmp_path, env, "--orders", str(ORDERS))

    assert code == 0, text
    *shown, last = text.splitlines()
    result = json.loads(last)
    counts = {name: result[name] for name in ("placed", "settled", "mails", "violations")}
    assert counts == {"placed": ORDERS, "settled": ORDERS, "mails": ORDERS, "violations": 0}
    # 12 declined, 8 sold out, and 15, 7 and 5 rivals that did not get their print.
    assert (result["paid"], result["cancelled"]) == (ORDERS - 47, 47)
    assert 0 < result["accept_p50_ms"] <= result["accept_p99_ms"]
    assert 0 < result["settle_p50_ms"] <= result["settle_p99_ms"]
    assert len(result) == 10
    assert f"Placing orders: {ORDERS} of {ORDERS}" in text
    assert any("payment_unknown" in line for line in shown)
    assert any(line.endswith("Your order is confirmed") for line in shown)
    assert "\x1b" not in text


async def test_demo_of_too_few_orders_says_how_many_it_takes(tmp_path: Path) -> None:
    code, text = await run_demo(tmp_path, os.environ, "--orders", "5")

    assert (code, text.splitlines()[-1]) == (
        2,
        "python -m ops.local demo: error: At least 93 orders are needed.",
    )


@pytest.mark.parametrize(
    ("seconds", "percent", "ms"),
    [([], 50, 0.0), ([0.2], 99, 200.0), ([0.4, 0.1, 0.3, 0.2], 50, 200.0), ([0.1, 0.3], 99, 300.0)],
    ids=str,
)
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(
    seconds: list[float], percent: int, ms: float
) -> None:
    assert percentile_ms(seconds, percent) == ms
