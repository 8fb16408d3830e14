"""The limit: pgbench doing the whole life of orders in Postgres, one at a time per client."""

import os
import re
from pathlib import Path

from db.engine import LOOKUPS_ONLY
from ops.bench.load import Lost
from ops.local.postgres import bin_dir
from ops.local.program import Program, output

SCRIPT = Path(__file__).with_name("limit.sql")
_TPS = re.compile(r"^tps = ([0-9.]+) ", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: ([0-9]+) ", re.MULTILINE)


async def limit(url: str, *, clients: int, seconds: int) -> float:
    """Measure the orders per second of that many clients. Raises Lost if one order failed."""
    argv = (
        *(str(bin_dir() / "pgbench"), "--no-vacuum", "--protocol=prepared"),
        *(f"--file={SCRIPT}", f"--client={clients}", f"--jobs={min(clients, os.cpu_count() or 1)}"),
        *(f"--time={seconds}", url),
    )
    # Planned as our own connections plan, which spares it whole-table scans as well.
    env = {"PGOPTIONS": " ".join(LOOKUPS_ONLY)}
    code, said = await output(Program(name="pgbench", argv=argv, env=env))
    tps, failed = _TPS.search(said), _FAILED.search(said)
    if code or tps is None or failed is None or int(failed[1]):
        raise Lost(f"pgbench failed (exit {code}):\n{said}")
    return float(tps[1])
