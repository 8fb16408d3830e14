"""A worker that is killed while it imports, wherever it is, delays the import and does no harm."""

import json
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import text

from db import imports
from db.engine import Database, transaction
from db.ids import new_id
from db.imports import ImportView, NewImport
from domain.importing import FileFormat, ImportState, OnError
from tests.records import be_patient, waits_for_a_lock
from tests.scenarios.processes import Surroundings, lose, running
from tests.waiting import eventually

WORKER = "orderflow worker"
ROWS = 3000
PART_BYTES = 256 * 1024
DEADLINE_S = 60


def a_line(n: int) -> dict[str, Any]:
    product = {"slug": f"cup-{n}", "name": f"Cup {n}", "description": "So " * 300}
    variant = {"sku": f"CUP-{n}", "name": f"Cup {n}", "price_minor": 2, "currency": "GBP"}
    return {"product": product, "variant": variant}


async def sent(database: Database) -> UUID:
    """Have an import accepted, of some ten steps."""
    new = NewImport(new_id(), FileFormat.JSON_LINES, OnError.REFUSE, dry_run=False, asked_by=None)
    file = "\n".join(json.dumps(a_line(n)) for n in range(ROWS)).encode()
    async with transaction(database) as tx:
        await imports.insert(tx, new)
        for place in range(0, len(file), PART_BYTES):
            await imports.append(tx, new.id, place, file[place : place + PART_BYTES])
        await imports.start(tx, new.id, len(file))
    return new.id


async def seen(database: Database, import_id: UUID) -> ImportView:
    async with transaction(database) as tx:
        return await imports.get(tx, import_id)


async def is_half_read(database: Database, import_id: UUID) -> bool:
    view = await seen(database, import_id)
    return view.bytes_read >= view.bytes / 2


async def is_over(database: Database) -> bool:
    """Tell whether an import has ended and nothing is kept of it that is not needed."""
    async with transaction(database) as tx:
        ended = await tx.scalar(text("SELECT finished_at FROM imports"))
        return bool(ended) and not await tx.scalar(text("SELECT count(*) FROM import_rows"))


async def test_worker_killed_while_it_reads_and_while_it_publishes_imports_all_of_it_once(
    database: Database, surroundings: Surroundings
) -> None:
    async with transaction(database) as tx:
        old = "INSERT INTO variants (sku, name, price_minor, currency) VALUES ('CUP-0','C',1,'GBP')"
        await tx.execute(text(old))
    import_id = await sent(database)

    async with running(surroundings, "worker", "clock") as fleet:
        async with transaction(database, timeout_s=DEADLINE_S) as tx:
            await be_patient(tx)
            await tx.execute(text("SELECT FROM variants WHERE sku = 'CUP-0' FOR UPDATE"))
            await eventually(partial(is_half_read, database, import_id))
            await lose(fleet, "worker", database)
            await eventually(partial(waits_for_a_lock, database, WORKER))
            assert (await seen(database, import_id)).state is ImportState.PUBLISHING
            await lose(fleet, "worker", database)
        await eventually(partial(is_over, database))

    done = await seen(database, import_id)
    assert (done.state, done.rows, done.bad) == (ImportState.DONE, ROWS, 0)
    assert (done.products, done.variants) == (ROWS, ROWS)
    async with transaction(database) as tx:
        written = "SELECT sum(version), count(*), max(price_minor) FROM variants"
        assert (await tx.execute(text(written))).one() == (ROWS + 1, ROWS, 2)
