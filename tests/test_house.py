"""The house is in order: settings, locks, process types and what lies at the top level."""

import re
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from ops.config import VERSION, SettingInvalid, Settings, example, settings
from tests.order import LONG, dealt

ROOT = Path(__file__).parent.parent
LOCKS = (
    "requirements.txt",
    "ops/local/requirements.txt",
    "ops/telemetry/requirements.txt",
    ".ci/requirements.txt",
)
# Those that each lock holds beside what the project always needs.
EXTRAS = ((), ("local",), ("traces",), ("local", "traces", "dev"))
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())

ENTRIES = {
    *("api", "workers", "domain", "db", "ops", "tests", "docs", ".ci"),
    *("Procfile", "README.md", "CHANGELOG.md", "LICENSE", "Makefile"),
    *("pyproject.toml", "requirements.txt"),
}
# Those that a tool or a platform looks for by this name and at this place.
DOTFILES = {".git", ".gitignore", ".python-version", ".env.example", ".squawk.toml"}

PIN = re.compile(
    r"^(?P<name>[a-z0-9][a-z0-9._-]*)(?:\[[a-z,]+\])?==(?P<version>[0-9][0-9a-z.+!]*)"
    r"(?: ; [^\\\n]+)? \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\\n|\n))+",
    re.MULTILINE,
)


class Named(NamedTuple):
    nodeid: str


def _pins(lock: str) -> dict[str, set[str]]:
    """The versions of each package, which may differ by platform."""
    pins: dict[str, set[str]] = {}
    for pin in PIN.finditer((ROOT / lock).read_text()):
        pins.setdefault(pin["name"], set()).add(pin["version"])
    return pins


def test_example_of_the_environment_is_that_of_the_settings() -> None:
    assert (ROOT / ".env.example").read_text() == example(), "python -m ops.config > .env.example"


def test_example_of_the_environment_sets_what_is_set_anyway() -> None:
    lines = [line for line in example().splitlines() if line and not line.startswith("#")]
    environ = dict(line.split("=", 1) for line in lines)

    assert settings(environ) == settings({}) == Settings()


def test_every_setting_says_what_it_is_for() -> None:
    comments = [block.splitlines()[0] for block in example().split("\n\n")]

    assert [comment for comment in comments if len(comment) < len("# Seconds")] == []
    assert len(comments) == len(Settings.__struct_fields__)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"GATEWAY_TIMEOUT_S": "20"}, "GATEWAY_TIMEOUT_S must be below TASK_TIMEOUT_S"),
        ({"TASK_TIMEOUT_S": "25"}, "TASK_TIMEOUT_S must be below SHUTDOWN_GRACE_S"),
        ({"SHUTDOWN_GRACE_S": "31"}, "SHUTDOWN_GRACE_S must be below LEASE_S"),
        ({"LEASE_S": "5"}, "SHUTDOWN_GRACE_S must be below LEASE_S"),
        ({"GATEWAY_WINDOW_S": "30"}, "LEASE_S must be below GATEWAY_WINDOW_S"),
    ],
)
def test_timeouts_that_do_not_rise_are_refused_with_the_remedy(
    environ: Mapping[str, str], message: str
) -> None:
    with pytest.raises(SettingInvalid, match=f"^{message}: raise .* or lower .*"):
        settings(environ)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"PORT": "http"}, "PORT: "),
        ({"PORT": "70000"}, "PORT: "),
        ({"DATABASE_POOL_MAX": "1"}, "DATABASE_POOL_MAX: "),
        ({"LEASE_S": "-1"}, "LEASE_S: "),
        ({"LEASE_S": "nan"}, ""),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL: "),
    ],
)
def test_setting_that_cannot_be_is_refused_by_its_name(
    environ: Mapping[str, str], message: str
) -> None:
    with pytest.raises(SettingInvalid, match=f"^{message}"):
        settings(environ)


def test_empty_setting_is_its_default_and_a_foreign_one_is_none_of_ours() -> None:
    assert settings({"PORT": "", "HOME": "/"}) == Settings()


def test_setting_is_read_by_its_name_in_capitals() -> None:
    assert settings({"LEASE_S": "40", "port": "1"}) == msgspec.structs.replace(
        Settings(), lease_s=40.0
    )


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_holds_pins_with_hashes_and_nothing_else(lock: str) -> None:
    rest = PIN.sub("", (ROOT / lock).read_text())

    assert rest == ""


def _declared(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[><=!~; ]", requirement)[0].lower() for requirement in requirements}


def test_locks_pin_what_the_project_declares() -> None:
    project = PYPROJECT["project"]
    for lock, extras in zip(LOCKS, EXTRAS, strict=True):
        wanted = _declared(project["dependencies"])
        for extra in extras:
            wanted |= _declared(project["optional-dependencies"][extra])
        assert wanted - set(_pins(lock)) == set(), lock


def test_locks_agree_on_every_version() -> None:
    narrow, *wider, widest = (_pins(lock) for lock in LOCKS)

    for pins in wider:
        assert {name: pins.get(name) for name in narrow} == narrow
        assert {name: widest.get(name) for name in pins} == pins


def test_procfile_is_the_four_process_types() -> None:
    lines = (ROOT / "Procfile").read_text().splitlines()
    commands = dict(line.split(": ", 1) for line in lines)

    assert list(commands) == ["release", "web", "worker", "clock"]
    started = {
        "web": "uvicorn api.app:app ",
        "worker": "dramatiq workers.app ",
        "clock": "python -m workers.clock",
    }
    for name, command in started.items():
        assert f"{commands[name]} ".startswith(command)
    assert all(find_spec(module) for module in ("api.app", "workers.app", "workers.clock"))


def test_top_level_holds_what_the_architecture_names() -> None:
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().split()]
    found = {
        entry.name
        for entry in ROOT.iterdir()
        if not any(fnmatch(entry.name, pattern) for pattern in ignored)
    }

    assert found - {".git"} == ENTRIES | DOTFILES - {".git"}


def test_python_of_the_platform_is_one_that_the_project_supports() -> None:
    pinned = (ROOT / ".python-version").read_text().strip()
    least = PYPROJECT["project"]["requires-python"].removeprefix(">=")

    assert tuple(map(int, pinned.split("."))) >= tuple(map(int, least.split(".")))


def test_version_that_runs_is_that_of_the_project() -> None:
    assert PYPROJECT["project"]["version"] == VERSION


def test_tests_that_begin_first_are_there() -> None:
    assert [name for name in LONG if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 8])
def test_every_test_is_dealt_once_and_the_longest_begin_a_run(workers: int) -> None:
    items = [Named(f"{name}::{n}") for name in ("tests/a.py", *reversed(LONG)) for n in range(40)]

    ordered = dealt(items, workers)

    assert sorted(item.nodeid for item in ordered) == sorted(item.nodeid for item in items)
    assert [item.nodeid for item in ordered[:1]] == [f"{LONG[0]}::0"]
