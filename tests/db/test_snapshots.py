"""A snapshot is read, written and cut as Postgres understands it."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import snapshots
from db.snapshots import Snapshot


@pytest.mark.parametrize("written", ["10:10:", "10:20:10,14,19"])
def test_snapshot_is_written_as_it_was_read(written: str) -> None:
    assert str(Snapshot.parse(written)) == written


@pytest.mark.parametrize(
    ("xid", "cut"),
    [(20, "10:20:10,14"), (14, "10:14:10"), (10, "10:10:"), (7, "7:7:"), (99, "10:20:10,14")],
)
async def test_cut_snapshot_has_seen_what_had_ended_and_nothing_from_there_on(
    tx: AsyncConnection, xid: int, cut: str
) -> None:
    whole = Snapshot.parse("10:20:10,14")
    seen = text(
        "SELECT x FROM generate_series(3, 30) AS x"
        " WHERE pg_visible_in_snapshot(x::text::xid8, cast(:seen AS pg_snapshot))"
    )

    assert str(whole.until(xid)) == cut
    known = set(await tx.scalars(seen, {"seen": str(whole)}))
    assert set(await tx.scalars(seen, {"seen": cut})) == {x for x in known if x < xid}


async def test_transaction_that_runs_is_not_in_the_current_snapshot(tx: AsyncConnection) -> None:
    ours = await tx.scalar(text("SELECT pg_current_xact_id()::text"))

    now = await snapshots.current(tx)

    assert int(ours or 0) in now.running or int(ours or 0) >= now.xmax
