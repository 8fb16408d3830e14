"""Imports point inward only: the rule of the rooms, executed over every file of the tree."""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# The rooms, and the rooms of ours that each may use; `ANY` stands at the top.
ANY = frozenset({"api", "db", "domain", "ops", "tests", "workers"})
TELEMETRY = frozenset({"ops.config", "ops.telemetry"})
MAY_IMPORT: Mapping[str, frozenset[str]] = {
    "domain": frozenset({"domain"}),
    "ops.config": frozenset({"ops.config"}),
    "ops.telemetry": TELEMETRY,
    "db": TELEMETRY | {"db", "domain"},
    "workers": TELEMETRY | {"workers", "db", "domain"},
    "ops.dashboard": TELEMETRY | {"ops.dashboard", "db", "domain"},
    "api": TELEMETRY | {"api", "db", "domain", "ops.dashboard"},
    "ops.local": ANY,
    "ops.sandbox": ANY,
    "ops.storm": ANY,
    "ops.bench": ANY,
    "ops.admin": ANY,
    "ops.cli": frozenset({"ops.cli"}),
    "tests": ANY,
}
TOP = {room for room, others in MAY_IMPORT.items() if others is ANY}

# Packages that belong to some rooms only; the rooms at the top may use all of them.
ONLY_IN = {
    "sqlalchemy": {"db"},
    "psycopg": {"db"},
    "alembic": {"db"},
    "redis": {"db"},
    "dramatiq": {"db", "workers"},
    "litestar": {"api", "ops.dashboard"},
    "stripe": {"workers"},
    "aiosmtplib": {"workers"},
    "opentelemetry": {"ops.telemetry"},
}
# A transaction is passed through by its type.
EVERYWHERE = {"sqlalchemy.ext.asyncio.AsyncConnection"}

# A statement that names a table.
SQL = re.compile(
    r"\s*(SELECT\b.*\bFROM|INSERT INTO|UPDATE\b.*\bSET|DELETE FROM|WITH\b.*\bAS)\b", re.DOTALL
)

# What decisions are made of. Whatever tells the time, chances or the world is not among it.
PURE = {"__future__", "collections", "datetime", "enum", "functools", "itertools", "math"} | {
    *("msgspec", "operator", "re", "typing", "uuid"),
    *("base64", "csv", "difflib", "hmac", "io", "json", "unicodedata"),
}
IMPURE_CALLS = {"now", "today", "utcnow", "uuid1", "uuid4", "uuid7", "print", "open", "input"}

# Machines differ by minutes, so what is due, leased or expired is told by Postgres. These may ask
# their own clock: when an id was made, a mail written, a breaker opened, a period asked for.
WITH_A_CLOCK = {"db.ids", "workers.letters", "workers.breaker", "workers.reconcile"}
CLOCKS = {"now", "today", "utcnow", "time", "time_ns"}


def _files() -> Iterator[Path]:
    for room in sorted(ANY):
        yield from sorted((ROOT / room).rglob("*.py"))


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {_module(path): text for path in _files() if (text := path.read_text())}


def _is_in(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def _room(module: str) -> str | None:
    return next((room for room in MAY_IMPORT if _is_in(module, room)), None)


def _imported(source: str) -> Iterator[str]:
    """Name what a module imports, each as far as it is named there."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the room"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def violations(module: str, source: str) -> list[str]:
    """Name the imports that the room of a module may not make."""
    room = _room(module)
    if room is None:
        return ["the module is in no room"]
    if room in TOP:
        return []
    return [name for name in _imported(source) if not _may(room, name)]


def _may(room: str, name: str) -> bool:
    package = name.partition(".")[0]
    if package in ANY:
        return any(_is_in(name, other) for other in MAY_IMPORT[room])
    if room == "domain":
        return package in PURE
    return name in EVERYWHERE or room in ONLY_IN.get(package, {room})


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_only_what_its_room_may(module: str) -> None:
    assert violations(module, MODULES[module]) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("domain.order", "from db import orders"),
        ("domain.order", "import os"),
        ("domain.order", "import time"),
        ("domain.order", "import sqlalchemy"),
        ("db.orders", "import api.orders"),
        ("db.orders", "from workers import bell"),
        ("db.orders", "from ops import local"),
        ("api.orders", "from workers.bell import Bell"),
        ("api.orders", "def late():\n    import workers"),
        ("api.orders", "from sqlalchemy import text"),
        ("api.orders", "from sqlalchemy.ext.asyncio import AsyncEngine"),
        ("api.orders", "import psycopg"),
        ("api.orders", "import dramatiq"),
        ("api.orders", "from ops.sandbox import ledger"),
        ("workers.bell", "from api import orders"),
        ("workers.bell", "from ops.dashboard import page"),
        ("workers.bell", "from litestar import get"),
        ("ops.telemetry.logs", "from domain import order"),
        ("ops.config", "from ops.telemetry import logs"),
        ("ops.dashboard.page", "from workers import bell"),
        ("ops.other", "import os"),
        ("helpers.text", "import os"),
    ],
)
def test_import_against_the_rule_is_found(module: str, source: str) -> None:
    assert violations(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("domain.order", "from domain import saga\nfrom uuid import UUID\nimport msgspec"),
        (
            "db.orders",
            "from domain import order\nfrom ops.telemetry import metrics\nimport sqlalchemy",
        ),
        ("api.orders", "from sqlalchemy.ext.asyncio import AsyncConnection"),
        ("api.application", "from ops.dashboard import router\nfrom ops.config import settings"),
        ("workers.app", "import dramatiq\nfrom db import tasks"),
        ("ops.bench.rig", "import api.app\nimport workers.app\nimport psycopg"),
    ],
)
def test_import_by_the_rule_is_left_alone(module: str, source: str) -> None:
    assert violations(module, source) == []


def test_modules_import_each_other_in_one_direction() -> None:
    graph = {
        module: {name for name in _modules_in(source) if name != module}
        for module, source in MODULES.items()
    }

    assert list(TopologicalSorter(graph).static_order())


def _modules_in(source: str) -> set[str]:
    return {
        name if name in MODULES else name.rpartition(".")[0]
        for name in _imported(source)
        if name in MODULES or name.rpartition(".")[0] in MODULES
    }


@pytest.mark.parametrize("module", [m for m in MODULES if _is_in(m, "domain")])
def test_decisions_ask_neither_the_clock_nor_chance_nor_the_world(module: str) -> None:
    assert not IMPURE_CALLS & _called(MODULES[module])


def test_work_is_timed_by_the_clock_of_the_database() -> None:
    rooms = [m for m in MODULES if _is_in(m, "db") or _is_in(m, "workers")]

    assert {m for m in rooms if CLOCKS & _called(MODULES[m])} == WITH_A_CLOCK


def _called(source: str) -> set[str]:
    """Name the functions that a module calls, without what they are of."""
    nodes = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    # What is called of `func` is called by Postgres.
    methods = [n for n in nodes if isinstance(n, ast.Attribute) and ast.unparse(n.value) != "func"]
    return {n.id for n in nodes if isinstance(n, ast.Name)} | {n.attr for n in methods}


def test_what_decisions_are_made_of_is_of_the_standard_library_or_msgspec() -> None:
    assert set(sys.stdlib_module_names) | {"msgspec"} >= PURE


@pytest.mark.parametrize(
    "module", [m for m in MODULES if _room(m) not in TOP and not _is_in(m, "db")]
)
def test_sql_stands_in_db_alone(module: str) -> None:
    texts = [
        node.value
        for node in ast.walk(ast.parse(MODULES[module]))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]

    assert [text for text in texts if SQL.match(text)] == []


def test_every_room_but_those_to_come_has_modules() -> None:
    to_come = {"ops.storm"}

    empty = {room for room in MAY_IMPORT if not any(_is_in(m, room) for m in MODULES)}

    assert empty <= to_come
