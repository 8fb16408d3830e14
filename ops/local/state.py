"""The state directory of one checkout: who holds it, and the short directory of its sockets."""

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ops.local.program import CHECKOUT

DEFAULT_STATE = CHECKOUT / ".local"
# A fresh cluster takes 40 MB and its write-ahead log grows to a few hundred under load.
DISK_FREE_MIN_BYTES = 512 * 1024 * 1024
# `sockaddr_un` holds 104 bytes on macOS and 108 on Linux, the terminating zero included.
SOCKET_PATH_MAX_BYTES = 103
_NAMED = "`make STATE=folder demo` (or up, replay), --state folder without make"
_SOCKET_NAME_MAX_BYTES = len("/.s.PGSQL.5432.lock")


class CannotStart(Exception):
    """Something around us prevents the start; the message says what, and what to do."""


class Holder(msgspec.Struct, frozen=True):
    """Who runs from a state directory; all but the process id is empty until it is ready.

    `database_url` is that of the embedded server. One the user named may hold a password, which
    does not belong in a file that others can read.
    """

    pid: int
    url: str = ""
    inbox_url: str = ""
    sandbox_dir: str = ""
    database_url: str = ""


class Claim:
    """The right to run from a state directory, held until its file is closed or we die."""

    def __init__(self, state: Path, descriptor: int) -> None:
        self.state = state
        self._descriptor = descriptor

    def tell(self, holder: Holder) -> None:
        """Let others read who runs here, and where."""
        text = msgspec.json.encode(holder)
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))


@contextmanager
def claimed(state: Path) -> Generator[Claim]:
    """Hold the state directory, made if missing.

    Raises CannotStart if it is held, cannot be written or its disk is full.
    """
    descriptor = _open_lock(state)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotStart(_already_running(state)) from error
        check_room(state, DISK_FREE_MIN_BYTES)
        claim = Claim(state.resolve(), descriptor)
        claim.tell(Holder(pid=os.getpid()))
        yield claim
    finally:
        os.close(descriptor)


def holder(state: Path) -> Holder | None:
    """Whoever runs from the state directory now."""
    try:
        descriptor = os.open(state / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return msgspec.json.decode((state / "lock").read_bytes(), type=Holder)
    finally:
        os.close(descriptor)
    return None


def check_room(folder: Path, needed_bytes: int) -> None:
    """Raise CannotStart unless the folder's disk has that much free."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise CannotStart(
            f"The disk of {folder} has {free >> 20} MB free, {needed_bytes >> 20} MB are needed: "
            f"make room, or name a folder on another disk: {_NAMED}."
        )


def socket_dir(state: Path, uid: int) -> Path:
    """Directory of mode 0700 for the sockets of the state directory, made for that account.

    Raises CannotStart if somebody else made it before us.
    """
    key = hashlib.sha256(f"{state}\0{uid}".encode()).hexdigest()[:16]
    folder = _short_temporary_folder(f"orderflow-{key}") / f"orderflow-{key}"
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, uid, -1)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {uid, os.geteuid()}:
            raise CannotStart(
                f"{folder} belongs to somebody else, who could answer in the servers' place: "
                "have it removed, or set TMPDIR to a folder of your own."
            ) from None
        os.chown(folder, uid, -1)
        folder.chmod(0o700)
    return folder


def _short_temporary_folder(name: str) -> Path:
    for folder in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - the name below it is checked for its owner
        if len(bytes(folder / name)) + _SOCKET_NAME_MAX_BYTES <= SOCKET_PATH_MAX_BYTES:
            return folder
    raise CannotStart("TMPDIR is too long a path for a Unix socket: set a shorter one.")


def _open_lock(state: Path) -> int:
    try:
        # Others may pass through it, as the account Postgres runs under may have to.
        state.mkdir(mode=0o711, parents=True, exist_ok=True)
        return os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise CannotStart(
            f"Cannot write to {state} ({error.strerror}): become its owner, remove it, "
            f"or name another folder: {_NAMED}."
        ) from error


def _already_running(state: Path) -> str:
    running = holder(state)
    who = f"process {running.pid}" if running else "another process"
    where = f" at {running.url}" if running and running.url else ""
    return (
        f"Orderflow already runs from {state} ({who}{where}): use that one, stop it with Ctrl-C "
        f"there{f' or `kill {running.pid}`' if running else ''}, or start a second one beside it "
        f"from another folder: {_NAMED}."
    )
