"""The past that the auditor is measured on is one that could have been."""

import pytest

from db import audits, invariants
from db.audits import Limits
from db.engine import Database, transaction
from ops.bench import audit, past
from ops.bench.books import opened
from ops.config import Settings
from tests.records import statuses

ORDERS = 700


async def test_written_past_breaks_nothing_and_is_seen_already(
    database: Database, settings: Settings
) -> None:
    async with opened(settings.database_url) as connection:
        await past.begin(connection)
        numbers = range(1, ORDERS + 1)
        await past.write(connection, numbers, now=ORDERS, under_way=ORDERS - 29, xid=1)
        await past.finish(connection)
        before = await _look(database)
        await past.write(connection, range(ORDERS + 1, ORDERS + 11), now=ORDERS + 1)
    after = await _look(database)

    async with transaction(database) as tx:
        assert await invariants.check(tx) == []
    assert await statuses(database) == {"paid": 645, "cancelled": 35, "reserved": 20, "placed": 10}
    assert [(look.orders, look.new) for look in (before, after)] == [(0, []), (10, [])]


async def _look(database: Database) -> audits.Look:
    async with transaction(database) as tx:
        seen = await audits.look(tx, Limits(rolled=0))
    assert seen is not None
    return seen


def test_measurement_says_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        audit.main(["--help"])

    assert ended.value.code == 0
    assert "--orders" in capsys.readouterr().out
