"""The environment local processes get: servers, ports, the sandbox in place of the outside."""

import os
import secrets
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ops.local.ports import HOST, Ports
from ops.local.state import CannotStart

_WEB_FIRST = 8000
# Where the field's own stand-ins for Stripe, mail pages and mail relays listen.
_GATEWAY_FIRST = 12111
_INBOX_FIRST = 8025
_SMTP_FIRST = 1025
# Both ends are ours and on this machine.
_WEBHOOK_SECRET = "whsec_sandbox"  # noqa: S105 - it guards a toy
# Who watches an outage of the sandbox does not want to wait half a minute for its end.
_BREAKER_OPEN_S = "5"
# Everybody here has the one address of this machine, and demo and replay send what they can.
_RATE_ANONYMOUS = "1000000"


class Addresses(msgspec.Struct, frozen=True):
    """Ports of one platform."""

    web: int
    gateway: int
    inbox: int
    smtp: int


def addresses(ports: Ports, environ: Mapping[str, str]) -> Addresses:
    """Choose the ports. Raises CannotStart if one that is given cannot be had."""

    def choose(name: str, first: int) -> int:
        # The sandbox's own word for any is 0.
        if (wanted := environ.get(name, "")) in {"", "0"}:
            return ports.near(first)
        return ports.named(name, _number(name, wanted))

    return Addresses(
        web=choose("PORT", _WEB_FIRST),
        gateway=choose("SANDBOX_GATEWAY_PORT", _GATEWAY_FIRST),
        inbox=choose("SANDBOX_INBOX_PORT", _INBOX_FIRST),
        smtp=choose("SANDBOX_SMTP_PORT", _SMTP_FIRST),
    )


def _number(name: str, wanted: str) -> int:
    if not (wanted.isdecimal() and 0 < int(wanted) < 2**16):
        raise CannotStart(f"{name} is `{wanted}`: set it to a number from 1 to 65535, or unset it.")
    return int(wanted)


def assemble(
    environ: Mapping[str, str], state: Path, at: Addresses, database_url: str, redis_url: str
) -> dict[str, str]:
    """Environment of the children: the user's own, and over it what keeps them on this machine."""
    scripts = sysconfig.get_path("scripts")
    return dict(environ) | {
        "PATH": os.pathsep.join((scripts, environ.get("PATH", os.defpath))),
        "PYTHONUNBUFFERED": "1",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "HOST": HOST,
        "PORT": str(at.web),
        "STRIPE_API_KEY": "sk_test_sandbox",
        "STRIPE_API_BASE": f"http://{HOST}:{at.gateway}",
        "STRIPE_WEBHOOK_SECRETS": _WEBHOOK_SECRET,
        "BREAKER_OPEN_S": environ.get("BREAKER_OPEN_S") or _BREAKER_OPEN_S,
        "SANDBOX_WEBHOOK_URL": environ.get(
            "SANDBOX_WEBHOOK_URL", f"http://{HOST}:{at.web}/v1/gateways/stripe/webhook"
        ),
        "SANDBOX_WEBHOOK_SECRET": _WEBHOOK_SECRET,
        "SMTP_URL": f"smtp://{HOST}:{at.smtp}",
        "SANDBOX_GATEWAY_PORT": str(at.gateway),
        "SANDBOX_INBOX_PORT": str(at.inbox),
        "SANDBOX_SMTP_PORT": str(at.smtp),
        "SANDBOX_DIR": str(state / "sandbox"),
        "RATE_ANONYMOUS": environ.get("RATE_ANONYMOUS") or _RATE_ANONYMOUS,
        "TOKEN_KEYS": environ.get("TOKEN_KEYS") or kept(state / "token_keys"),
        "SECRET_KEYS": environ.get("SECRET_KEYS") or kept(state / "secret_keys"),
        "PUBLIC_URL": environ.get("PUBLIC_URL") or f"http://{HOST}:{at.web}",
        "PROMETHEUS_MULTIPROC_DIR": str(_fresh(state / "metrics")),
    }


def kept(file: Path) -> str:
    """Return 32 random bytes in base64url, made at the first call.

    What they have signed or sealed is still good after the next start.
    """
    if not file.exists():
        private(file, secrets.token_urlsafe(32))
    return file.read_text().strip()


def private(file: Path, text: str) -> None:
    """Write a file that only its owner can read; it is there whole or not at all."""
    half = file.with_suffix(".half")
    half.unlink(missing_ok=True)
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        print(text, file=out)
    half.rename(file)


def _fresh(folder: Path) -> Path:
    """Empty the folder: what dead processes counted would be added to what live ones count."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    return folder
