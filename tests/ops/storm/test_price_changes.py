"""Prices change many times a second while what processes share breaks, and nobody sees old ones."""

import logging
from pathlib import Path

from ops.storm.price_changes import run
from ops.storm.price_faults import FAULTS

log = logging.getLogger(__name__)

# Each fault once; the whole of it, with Postgres away at times, is `make storm-prices`.
BROKEN = ("wipe", "cut", "kill redis")


async def test_nobody_sees_an_old_price_for_longer_than_a_second(tmp_path: Path) -> None:
    def say(name: str, line: str) -> None:
        log.warning("%s: %s", name, line)

    faults = [fault for fault in FAULTS if fault.name in BROKEN]
    result = await run(tmp_path, seconds=0, faults=faults, say=say)

    assert not result.too_old
    assert not result.unconverged
    assert result.changes > 20
    assert result.answers > 100
    assert result.hit_rate > 0
