"""An import that is stopped while its file comes takes no more of it, and nothing of it is kept."""

import pytest
from sqlalchemy import text

from db import imports
from db.engine import Database, transaction
from db.ids import new_id
from db.imports import NewImport
from domain.importing import FileFormat, ImportOver, ImportState, OnError
from tests.stages import drain_housekeeping

NEW = NewImport(new_id(), FileFormat.JSON_LINES, OnError.REFUSE, dry_run=False, asked_by=None)


async def test_file_of_an_import_that_was_stopped_comes_no_further(database: Database) -> None:
    async with transaction(database) as tx:
        await imports.insert(tx, NEW)
        await imports.append(tx, NEW.id, 0, b'{"product":')
    async with transaction(database) as tx:
        await imports.cancel(tx, NEW.id)
    await drain_housekeeping(database)

    async with transaction(database) as tx:
        with pytest.raises(ImportOver, match="stopped while its file came"):
            await imports.append(tx, NEW.id, 11, b"{}}")
        with pytest.raises(ImportOver):
            await imports.start(tx, NEW.id, 14)
    async with transaction(database) as tx:
        assert (await imports.get(tx, NEW.id)).state is ImportState.CANCELLED
        assert await tx.scalar(text("SELECT count(*) FROM import_parts")) == 0
