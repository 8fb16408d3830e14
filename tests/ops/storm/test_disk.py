import asyncio
import errno
from pathlib import Path

import pytest

from ops.storm.disk import empty, fill, small_disk


async def test_full_disk_takes_nothing_more_until_it_is_emptied(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    async with small_disk(folder) as disk:
        if disk is None:
            pytest.skip("no filesystem can be mounted here")

        taken = await asyncio.to_thread(fill, disk)
        with pytest.raises(OSError, match="No space left") as full:
            await asyncio.to_thread((disk / "more").write_bytes, b"x" * 8192)
        await asyncio.to_thread(empty, disk)
        await asyncio.to_thread((disk / "more").write_bytes, b"x" * 8192)

        assert full.value.errno == errno.ENOSPC
        assert taken > 500 << 20

    assert await asyncio.to_thread(lambda: list(folder.iterdir())) == []


async def test_disk_is_mounted_at_a_folder_that_is_named_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with small_disk(Path("small")) as disk:
        if disk is None:
            pytest.skip("no filesystem can be mounted here")

        assert disk == tmp_path / "small"
        assert await asyncio.to_thread(disk.is_mount)


async def test_folder_is_used_as_it_is_where_nothing_can_be_mounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    async with small_disk(tmp_path / "small") as disk:
        assert disk is None
        assert await asyncio.to_thread((tmp_path / "small").is_dir)
