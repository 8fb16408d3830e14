"""A phase on the real platform: orders are carried and measured, and a death is not hidden."""

from pathlib import Path

import pytest

from ops.bench import phases
from ops.bench.rig import OURS, ground, rig
from ops.bench.workload import Lost, Workload

SERVERS = ("postgres", "valkey")


async def test_orders_are_carried_and_a_process_that_died_spoils_the_measurement(
    tmp_path: Path,
) -> None:
    async with ground(tmp_path, lambda *_: None) as on, rig(on, outside=False) as bench:
        carried = await phases.carry(
            bench, Workload(orders=200, connections=8, seed=1, api_keys=bench.api_keys)
        )
        await phases.carry(bench, Workload(orders=50, connections=8, seed=3))

        assert 0 < carried.settled_per_s <= carried.accepted_per_s
        assert 0 < carried.accept_p50_ms <= carried.accept_p99_ms
        assert set(carried.cpu_ms_per_order) == {*OURS, *SERVERS}
        assert carried.cpu_ms_per_order["worker"] > 0
        assert set(carried.rss_mb) == set(OURS)

        await bench.platform.kill("worker")
        await bench.platform.children["worker"].running()
        with pytest.raises(Lost, match="worker died"):
            await phases.carry(bench, Workload(orders=1, connections=1, seed=2))
