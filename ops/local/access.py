"""The platform as demo and replay reach it: one that runs already, or one of their own."""

import os
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import TextIO

import msgspec
from rich.console import Console

from ops.local.child import ORDERFLOW, Say
from ops.local.staff import admin_api_key
from ops.local.state import CannotStart, holder
from ops.local.up import platform


class Access(msgspec.Struct, frozen=True):
    """Where a platform is, and what opens it."""

    url: str
    inbox_url: str
    admin_api_key: str
    database_url: str
    sandbox: Path
    gateway_url: str = ""  # of the sandbox; known of a platform of our own


@asynccontextmanager
async def own(state: Path, log: str, console: Console) -> AsyncGenerator[Access]:
    """Start a platform, and stop it on leaving; what it writes goes to the file of that name.

    Raises CannotStart.
    """
    console.print("Starting the platform ...")
    with _filing(state / log, console) as say:
        async with platform(state, os.environ, say=say) as running:
            where = f"It runs at {running.url}; what it writes is in {state / log}.\n"
            console.print(where, highlight=False, soft_wrap=True)
            yield Access(
                url=running.url,
                inbox_url=running.inbox_url,
                admin_api_key=running.admin_api_key,
                database_url=running.env["DATABASE_URL"],
                sandbox=Path(running.env["SANDBOX_DIR"]),
                gateway_url=running.env["STRIPE_API_BASE"],
            )
            console.print("\nStopping the platform ...")


@asynccontextmanager
async def running_or_own(state: Path, log: str, console: Console) -> AsyncGenerator[Access]:
    """Use the platform that runs from the state directory, or start one. Raises CannotStart."""
    if found := running(state, os.environ):
        console.print(f"Using the platform at {found.url}.\n")
        yield found
        return
    async with own(state, log, console) as started:
        yield started


def running(state: Path, environ: Mapping[str, str]) -> Access | None:
    """Find the platform that runs from the state directory.

    Raises CannotStart if it is not ready or its database is not known.
    """
    if (held := holder(state)) is None:
        return None
    if not held.url:
        raise CannotStart(f"Process {held.pid} is just starting from {state}: try again soon.")
    database_url = held.database_url or environ.get("DATABASE_URL", "")
    if not database_url:
        raise CannotStart(
            f"The platform at {held.url} has a database of its own: set DATABASE_URL as it has it."
        )
    return Access(
        url=held.url,
        inbox_url=held.inbox_url,
        admin_api_key=admin_api_key(state),
        database_url=database_url,
        sandbox=Path(held.sandbox_dir),
    )


@contextmanager
def _filing(path: Path, console: Console) -> Generator[Say]:
    """Put what the programs write into a file; what concerns the user goes to him."""
    with ExitStack() as opened:

        @cache
        def file() -> TextIO:
            # Only now is the folder known to be there and ours.
            return opened.enter_context(path.open("w"))

        def say(name: str, line: str) -> None:
            if name == ORDERFLOW:
                console.print(line, markup=False, highlight=False, soft_wrap=True)
            print(f"{name:9} | {line}", file=file(), flush=True)

        yield say
