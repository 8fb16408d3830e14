"""Make stops before it installs anything where that would be in vain, and says what to do."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ops.local.program import CHECKOUT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of which only make's own files are there: nothing can be installed from it."""
    folder = tmp_path / "a 'new' checkout"
    folder.mkdir()
    shutil.copy(CHECKOUT / "Makefile", folder)
    return folder


def make(checkout: Path, *arguments: str) -> tuple[int, str]:
    """Run it; exit code and output."""
    found = shutil.which("make")
    assert found, "make is missing"
    # These tests may themselves be run by a make, whose flags would be taken over.
    environ = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    ran = subprocess.run(  # noqa: S603 - our own Makefile
        [found, *arguments],
        cwd=checkout,
        env=environ | {"MFLAGS": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout


def a_python(folder: Path, script: str) -> Path:
    stub = folder / "python-stub"
    stub.write_text(f"#!/bin/sh\n{script}\n")
    stub.chmod(0o755)
    return stub


@pytest.mark.parametrize("arguments", [["replay"], ["-j4", "replay"], ["replay", "FILE="]], ids=str)
def test_replay_of_no_file_is_refused_with_its_usage(checkout: Path, arguments: list[str]) -> None:
    code, text = make(checkout, *arguments)

    assert code != 0
    assert text.startswith("Name the file: make replay FILE=orders.csv [SPEED=max]")
    assert "Making .venv" not in text
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('[ "$1" = -V ] && echo Python 2.7.18 && exit; exit 1', "needed, {stub} is Python 2.7.18"),
        ('case "$2" in *ensurepip*) exit 1;; esac', "{stub} cannot make virtual environments"),
    ],
    ids=["too old", "without venv"],
)
def test_python_that_does_not_do_is_refused_with_the_remedy(
    checkout: Path, script: str, said: str
) -> None:
    stub = a_python(checkout, script)

    code, text = make(checkout, "demo", f"PYTHON={stub}")

    assert code != 0
    assert said.format(stub=stub) in text
    assert "Traceback" not in text
    assert not (checkout / ".venv").exists()


def test_python_that_is_not_there_is_refused_with_the_remedy(checkout: Path) -> None:
    code, text = make(checkout, "demo", "PYTHON=python3.99")

    assert code != 0
    assert "python3.99 is not found: install Python 3.11 or newer" in text
    assert not (checkout / ".venv").exists()


def test_folder_that_cannot_hold_an_environment_is_refused_with_the_remedy(
    checkout: Path,
) -> None:
    (checkout / ".venv").touch()

    code, text = make(checkout, "demo")

    assert code != 0
    assert "Making .venv failed, see above: this folder must be writable" in text
    assert "Traceback" not in text


def installed(checkout: Path, script: str) -> None:
    """Put a script in place of the installed Python, and say that all is installed."""
    (checkout / "ops" / "local").mkdir(parents=True)
    (checkout / "ops" / "local" / "requirements.txt").touch()
    (checkout / ".venv" / "bin").mkdir(parents=True)
    a_python(checkout / ".venv" / "bin", script).rename(checkout / ".venv" / "bin" / "python")
    for stamp in (".made", ".local"):
        (checkout / ".venv" / stamp).touch()


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("up", ["up", "--state", "a folder"]),
        ("demo", ["demo", "--state", "a folder"]),
        ("replay", ["replay", "--state", "a folder", "orders of may.csv", "max"]),
    ],
)
def test_state_may_be_in_another_folder(checkout: Path, target: str, arguments: list[str]) -> None:
    installed(checkout, 'printf "%s\\n" "$@"')

    code, text = make(checkout, target, "STATE=a folder", "FILE=orders of may.csv")

    assert (code, text.splitlines()) == (0, ["-m", "ops.local", *arguments])


def test_environment_that_lost_its_pip_is_made_again(checkout: Path) -> None:
    installed(checkout, '[ "$2" != pip ]')
    (checkout / ".venv" / ".local").unlink()

    _, text = make(checkout, ".venv/.local")

    assert "Making .venv again, pip was missing" in text
    # What is there now is a real one, and there is nothing to install.
    assert (checkout / ".venv" / "pyvenv.cfg").exists()
    assert (checkout / ".venv" / ".local").exists()
