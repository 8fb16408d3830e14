"""The outside world for tests: a real sandbox process on free ports.

Fixtures to import into a conftest: `outside` for a sandbox that tests share, and `start` for tests
that need one of their own.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

ROOT = Path(__file__).parent.parent
START_DEADLINE_S = 20
STOP_DEADLINE_S = 10


class Sandbox(msgspec.Struct, frozen=True):
    """A running sandbox."""

    process: subprocess.Popen[bytes]
    folder: Path
    gateway_url: str
    inbox_url: str
    smtp_url: str

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal, wait until it has ended and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        if self.process.stdout:
            self.process.stdout.close()
        return self.process.wait(STOP_DEADLINE_S)

    def logged(self) -> str:
        """Return what it wrote to stderr: nothing, if all is well."""
        return (self.folder / "stderr").read_text()


class Start(Protocol):
    def __call__(self, folder: Path, **environ: str) -> Sandbox:
        """Start a sandbox over a folder; `environ` adds settings, e.g. a port."""
        ...


def launch(folder: Path, **environ: str) -> Sandbox:
    """Start a sandbox, which the caller has to stop."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "stderr").open("ab") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "ops.sandbox"],
            cwd=ROOT,
            env={"SANDBOX_DIR": str(folder), **environ},
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    said = _until_ready(process)
    urls = dict(line.split(" ", 1) for line in said if " " in line)
    started = Sandbox(
        process, folder, *(urls.get(name, "") for name in ("gateway", "inbox", "smtp"))
    )
    if "ready" not in said:
        status = started.stop()
        raise AssertionError(f"The sandbox ended with {status}: {started.logged()}")
    return started


def _until_ready(process: subprocess.Popen[bytes]) -> list[str]:
    assert process.stdout is not None
    said = b""
    deadline = time.monotonic() + START_DEADLINE_S
    while not said.endswith(b"ready\n"):
        readable, _, _ = select.select([process.stdout], [], [], deadline - time.monotonic())
        read = os.read(process.stdout.fileno(), 4096) if readable else b""
        if not read:
            break
        said += read
    return said.decode().splitlines()


@pytest.fixture(scope="session")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Generator[Sandbox]:
    """A sandbox that all tests of this worker share; each names its own orders and mails."""
    started = launch(tmp_path_factory.mktemp("sandbox"))
    yield started
    assert started.stop() == 0
    assert started.logged() == ""


@pytest.fixture
def start() -> Generator[Start]:
    """Start sandboxes of the test's own; those still running afterwards are stopped."""
    with ExitStack() as running:

        def begin(folder: Path, **environ: str) -> Sandbox:
            begun = launch(folder, **environ)
            running.callback(begun.stop)
            return begun

        yield begin
