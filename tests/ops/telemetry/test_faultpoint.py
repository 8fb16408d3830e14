"""Fault points: named in one place, all of them in use, and nothing at all while off."""

import ast
import time
import timeit
from collections.abc import Generator
from pathlib import Path

import pytest

from db import cron
from db.engine import Database, Unavailable, name_commit, transaction
from ops.config import SettingInvalid
from ops.telemetry import faultpoint
from ops.telemetry.faultpoint import POINTS, Action, Call, Commit, FaultInjected, FaultPoint, Side

ROOT = Path(__file__).parents[3]
ROOMS = ("api", "db", "workers")
# They only read, or what is given the transaction says the name; when a key was last used may be
# lost.
NAMELESS = {
    "api/application.py": 1,
    "api/health.py": 1,
    "api/idempotency.py": 1,
    "api/proof.py": 1,
    "api/registration.py": 1,
    "api/resets.py": 1,
    "api/scraped.py": 1,
    "api/sessions.py": 1,
    "api/standing.py": 3,
    "workers/claimed.py": 2,
    "workers/clock.py": 1,
    "workers/reconcile.py": 1,
    "workers/switchboard.py": 1,
}
# Some microseconds are what one row of a group costs.
OFF_S_MAX = 2e-6


@pytest.fixture(autouse=True)
def disarmed() -> Generator[None]:
    yield
    faultpoint.arm("")


def test_setting_names_point_turn_and_action() -> None:
    found = faultpoint.parse("commit-accept.before:2:kill9")

    setting = "commit-accept.before:2:kill9"
    assert found == FaultPoint(setting, "commit-accept.before", 2, Action.KILL9)


def test_no_setting_is_no_point() -> None:
    assert faultpoint.parse("") is None


@pytest.mark.parametrize(
    "setting",
    [
        "commit-acept.before:1:kill9",
        "commit-accept:1:kill9",
        "commit-accept.before",
        "commit-accept.before:1",
        "commit-accept.before:0:kill9",
        "commit-accept.before:x:kill9",
        "commit-accept.before:1:explode",
        "commit-accept.before:1:kill9:more",
        ":1:kill9",
    ],
)
def test_setting_with_a_typing_error_is_refused(setting: str) -> None:
    with pytest.raises(SettingInvalid, match="FAULTPOINT"):
        faultpoint.arm(setting)


def test_only_the_visit_that_is_meant_breaks(capfd: pytest.CaptureFixture[str]) -> None:
    faultpoint.arm("call-mail.before:2:raise")

    faultpoint.reach(Call.MAIL, Side.BEFORE)
    faultpoint.reach(Call.MAIL, Side.AFTER)
    assert capfd.readouterr().err == ""
    with pytest.raises(FaultInjected):
        faultpoint.reach(Call.MAIL, Side.BEFORE)
    faultpoint.reach(Call.MAIL, Side.BEFORE)

    assert capfd.readouterr().err == "Fault point reached: call-mail.before:2:raise\n"


@pytest.mark.parametrize("side", Side)
def test_dropped_call_is_the_error_by_which_its_caller_knows_a_lost_connection(side: Side) -> None:
    faultpoint.arm(f"call-mail.{side}:1:drop")
    asked: list[str] = []

    with pytest.raises(ConnectionResetError), faultpoint.around(Call.MAIL, ConnectionResetError):
        asked.append("once")

    assert len(asked) == (side is Side.AFTER)


def test_call_that_fails_by_itself_does_not_come_to_the_point_after_it() -> None:
    faultpoint.arm("call-mail.after:1:raise")

    with pytest.raises(OSError, match="away"), faultpoint.around(Call.MAIL, ConnectionError):
        raise OSError("away")


@pytest.mark.parametrize(("side", "made"), [(Side.BEFORE, 0), (Side.AFTER, 1)])
async def test_dropped_commit_is_an_outage_whose_outcome_is_open(
    database: Database, side: Side, made: int
) -> None:
    faultpoint.arm(f"commit-variant.{side}:1:drop")

    with pytest.raises(Unavailable):
        await _write(database, "A")
    await _write(database, "B")

    async with transaction(database) as tx:
        found = await tx.exec_driver_sql("SELECT job FROM cron_runs ORDER BY job")
        assert list(found.scalars()) == ["A"] * made + ["B"]


async def _write(database: Database, job: str) -> None:
    async with transaction(database) as tx:
        name_commit(tx, Commit.VARIANT)
        await cron.take_slot(tx, job, every_s=60)


async def test_name_of_a_commit_ends_with_its_transaction(database: Database) -> None:
    faultpoint.arm("commit-variant.before:2:raise")

    await _write(database, "A")
    async with transaction(database) as tx:
        await tx.exec_driver_sql("INSERT INTO cron_runs VALUES ('B', now())")
    with pytest.raises(FaultInjected):
        await _write(database, "C")


def test_point_costs_next_to_nothing_while_off() -> None:
    rounds = 10_000

    def call() -> None:
        with faultpoint.around(Call.CHARGE, ConnectionError):
            faultpoint.reach(Call.CHARGE, Side.BEFORE)

    # Time of this thread alone: others may be busy on the same core.
    spent = timeit.repeat(call, timer=time.thread_time, number=rounds, repeat=5)
    assert min(spent) / rounds < OFF_S_MAX


def _uses() -> set[str]:
    """Name the members of the registry as the code does, e.g. `Commit.ACCEPT`."""
    used: set[str] = set()
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                of = node.value.attr if isinstance(node.value, ast.Attribute) else node.value
                used.add(f"{of.id if isinstance(of, ast.Name) else of}.{node.attr}")
    return used


def test_every_point_of_the_registry_is_in_the_code() -> None:
    # Those of a stage are made of the name of its queue.
    named = {of for of in (*Commit, *Call) if not of.startswith(("commit-work-", "commit-lease-"))}
    named.add(Commit.LEASE_ALONE)

    assert {f"{type(of).__name__}.{of.name}" for of in named} <= _uses()


def test_names_of_points_are_not_used_twice() -> None:
    assert len(POINTS) == len(Side) * (len(Commit) + len(Call))


def _nameless(path: Path) -> int:
    """Count transactions of a file that do not say what they write."""
    opened = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.AsyncWith) and "transaction(" in ast.unparse(node.items[0])
    ]
    return sum("name_commit(" not in ast.unparse(node) for node in opened)


def test_every_transaction_that_writes_says_its_name() -> None:
    found = {
        str(path.relative_to(ROOT)): nameless
        for room in ("api", "workers")
        for path in (ROOT / room).rglob("*.py")
        if (nameless := _nameless(path))
    }

    assert found == NAMELESS


def _writes(node: ast.AST) -> bool:
    """Tell whether it is a route that is given a transaction and may write."""
    if not isinstance(node, ast.AsyncFunctionDef):
        return False
    verbs = {ast.unparse(each).partition("(")[0] for each in node.decorator_list}
    return bool(verbs & {"post", "put", "patch", "delete"}) and any(
        argument.arg == "tx" for argument in node.args.args
    )


def test_every_route_that_writes_says_the_name_of_its_commit() -> None:
    routes = [
        node
        for path in (ROOT / "api").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if _writes(node)
    ]

    assert len(routes) > 4
    assert [ast.unparse(r) for r in routes if "name_commit(" not in ast.unparse(r)] == []
