import os
import stat
from pathlib import Path

import pytest

from ops.local.state import CannotStart, Holder, check_room, claimed, holder, socket_dir


def test_claim_tells_who_runs_until_it_ends(tmp_path: Path) -> None:
    with claimed(tmp_path / "new") as claim:
        claim.tell(Holder(pid=os.getpid(), url="http://127.0.0.1:8000/a/long/address"))
        claim.tell(Holder(pid=os.getpid(), url="http://127.0.0.1:8000"))
        during = holder(tmp_path / "new")

    assert during == Holder(pid=os.getpid(), url="http://127.0.0.1:8000")
    assert holder(tmp_path / "new") is None
    assert holder(tmp_path / "never") is None


def test_full_disk_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=r"MB free, .* MB are needed: make room.*make STATE="):
        check_room(tmp_path, 2**60)


def test_state_that_cannot_be_made_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with (
        pytest.raises(CannotStart, match=r"Cannot write to .*Not a directory.*make STATE="),
        claimed(tmp_path / "file" / "state"),
    ):
        pass


def test_socket_folder_is_private_and_differs_by_state(tmp_path: Path) -> None:
    one, again, other = (
        socket_dir(tmp_path / name, os.geteuid()) for name in ("one", "one", "other")
    )
    try:
        assert one == again != other
        assert stat.S_IMODE(one.stat().st_mode) == 0o700
    finally:
        one.rmdir()
        other.rmdir()


def test_socket_folder_made_by_somebody_else_is_refused(tmp_path: Path) -> None:
    folder = socket_dir(tmp_path, os.geteuid())
    folder.rmdir()
    folder.symlink_to(tmp_path)
    try:
        with pytest.raises(CannotStart, match="belongs to somebody else"):
            socket_dir(tmp_path, os.geteuid())
    finally:
        folder.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for somebody else")
def test_socket_folder_owned_by_another_user_is_refused(tmp_path: Path) -> None:
    folder = socket_dir(tmp_path, os.geteuid())
    os.chown(folder, 12345, -1)
    try:
        with pytest.raises(CannotStart, match="belongs to somebody else"):
            socket_dir(tmp_path, os.geteuid())
    finally:
        folder.rmdir()
