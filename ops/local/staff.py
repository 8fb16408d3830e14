"""The admin of a local platform, made by the bootstrap, and what the state keeps to be one."""

import secrets
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from api import credentials
from ops.local import procfile
from ops.local.child import Say
from ops.local.environment import private
from ops.local.supervise import run_to_end

HIRE = f"{shlex.quote(sys.executable)} -m ops.admin create-admin"
EMAIL = "admin@orderflow.local"
# 120 random bits, in letters that can be typed.
_PASSWORD_BYTES = 15


async def hire(state: Path, env: Mapping[str, str], say: Say, *, command: str = HIRE) -> str:
    """Have the admin made in the database of `env`; returns the key. Raises CannotStart."""
    key = admin_api_key(state)
    given = {**env, "ADMIN_EMAIL": EMAIL, "ADMIN_KEY": key}
    given["ADMIN_PASSWORD"] = admin_password(state)
    await run_to_end(procfile.program("admin", command, given), say)
    return key


def admin_password(state: Path) -> str:
    """Return the kept password of the admin, made at the first call."""
    file = state / "admin_password"
    if not file.exists():
        private(file, secrets.token_urlsafe(_PASSWORD_BYTES))
    return file.read_text().strip()


def admin_api_key_file(state: Path) -> Path:
    """File that keeps the key of this state directory."""
    return state / "admin_api_key"


def admin_api_key(state: Path) -> str:
    """Return the kept key, made at the first call, or if the kept one is of before accounts."""
    file = admin_api_key_file(state)
    if not file.exists() or not credentials.is_well_formed(file.read_text().strip()):
        private(file, credentials.mint())
    return file.read_text().strip()
