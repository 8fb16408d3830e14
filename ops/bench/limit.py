"""The limit: pgbench doing the whole life of orders in Postgres, one at a time per client."""

import os
import re
from pathlib import Path

import msgspec

from db.link import LOOKUPS_ONLY
from ops.bench.workload import Lost
from ops.local.postgres import bin_dir
from ops.local.program import Program, output

SCRIPT = Path(__file__).with_name("limit.sql")
_PROCESSED = re.compile(r"^number of transactions actually processed: ([0-9]+)$", re.MULTILINE)
_TPS = re.compile(r"^tps = ([0-9.]+) ", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: ([0-9]+) ", re.MULTILINE)


class Limit(msgspec.Struct, frozen=True):
    orders: int
    orders_per_s: float


async def limit(url: str, *, clients: int, seconds: int) -> Limit:
    """Measure the orders per second of that many clients. Raises Lost if one order failed."""
    argv = (
        *(str(bin_dir() / "pgbench"), "--no-vacuum", "--protocol=prepared"),
        *(f"--file={SCRIPT}", f"--client={clients}", f"--jobs={min(clients, os.cpu_count() or 1)}"),
        *(f"--time={seconds}", url),
    )
    # Planned as our own connections plan, which spares it whole-table scans as well.
    env = {"PGOPTIONS": " ".join(f"-c {plan}=off" for plan in LOOKUPS_ONLY)}
    code, said = await output(Program(name="pgbench", argv=argv, env=env))
    found = [pattern.search(said) for pattern in (_PROCESSED, _TPS, _FAILED)]
    processed, tps, failed = [float(one[1]) if one else None for one in found]
    if code or processed is None or tps is None or failed != 0:
        raise Lost(f"pgbench failed (exit {code}):\n{said}")
    return Limit(int(processed), tps)
