"""The command that reconciles: what it prints, and how it ends."""

import argparse
import json
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
import pytest

from db.engine import Database, connect
from ops.config import Settings
from ops.telemetry import faultpoint
from tests.bank import Bank
from tests.workers.paid import a_foreign_charge, paid, period, refunded_here, still_open
from workers import reconcile


def asked(gateway: str | None = None) -> argparse.Namespace:
    since, until = period()
    return argparse.Namespace(since=since, until=until, gateway=gateway)


async def test_books_that_agree_end_it_with_0_and_the_totals(
    database: Database, settings: Settings, bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    await paid(database, settings, bank, count=2)

    code = await reconcile.run(database, settings, [bank], asked())

    printed = capsys.readouterr()
    assert code == 0
    assert printed.out == '{"payments":2,"findings":0}\n'
    assert "bank: 2 payments, 0 differ" in printed.err
    assert bank.closed


async def test_each_difference_is_a_line_and_ends_it_with_1(
    database: Database, settings: Settings, bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    await paid(database, settings, Bank())
    await bank.execute(a_foreign_charge())

    code = await reconcile.run(database, settings, [bank], asked())

    *lines, last = capsys.readouterr().out.splitlines()
    found = await still_open(database)
    assert code == 1
    assert lines == [f"{one.kind} {one.subject} {one.detail}" for one in found]
    assert [line.split()[0] for line in lines] == ["payment_unknown_here", "payment_missing_there"]
    assert json.loads(last) == {"payments": 1, "findings": 2}


async def test_gateway_that_cannot_be_reached_ends_it_with_2_and_a_sentence(
    database: Database, settings: Settings, bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    bank.down = True

    code = await reconcile.run(database, settings, [bank], asked())

    printed = capsys.readouterr()
    assert (code, printed.out) == (2, "")
    assert printed.err == "bank cannot be read to the end: No connection. Run it again later.\n"


async def test_database_that_cannot_be_reached_ends_it_with_2_and_a_sentence(
    settings: Settings, bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    away = msgspec.structs.replace(settings, database_url="postgresql://127.0.0.1:1/none")
    database = connect(away, name="orderflow tests", ring=lambda _: None)

    code = await reconcile.run(database, away, [bank], asked())

    assert code == 2
    assert capsys.readouterr().err.startswith("The database is unavailable: ")


async def test_what_nobody_expected_is_not_taken_for_a_difference(
    database: Database, settings: Settings, bank: Bank, request: pytest.FixtureRequest
) -> None:
    await paid(database, settings, bank)
    request.addfinalizer(partial(faultpoint.arm, ""))
    faultpoint.arm("commit-reconcile-command.before:1:raise")

    code = await reconcile.run(database, settings, [bank], asked())

    assert code == 2
    assert bank.closed


async def test_one_of_several_gateways_can_be_chosen(
    database: Database, settings: Settings, bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Bank("other")
    await bank.execute(a_foreign_charge())
    await other.execute(a_foreign_charge())

    code = await reconcile.run(database, settings, [bank, other], asked("other"))

    assert code == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["payments"] == 1
    assert [finding.subject[:5] for finding in await still_open(database)] == ["other"]


async def test_payment_that_comes_up_on_both_sides_is_told_of_once(
    database: Database, settings: Settings, bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    await paid(database, settings, bank)
    await refunded_here(database, 300)

    await reconcile.run(database, settings, [bank], asked())

    line, last = capsys.readouterr().out.splitlines()
    assert line.startswith("refunded_amount_differs ")
    assert '"findings":1' in last
    assert len(bank.looked) == 1


async def test_all_gateways_are_reconciled_unless_one_is_chosen(
    database: Database, settings: Settings, bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    await bank.execute(a_foreign_charge())

    await reconcile.run(database, settings, [Bank("other"), bank], asked())

    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"payments": 1, "findings": 1}


async def test_gateway_that_is_not_configured_ends_it_with_2_and_the_names_there_are(
    database: Database, settings: Settings, bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    code = await reconcile.run(database, settings, [bank], asked("banc"))

    assert code == 2
    assert capsys.readouterr().err == "There is no gateway 'banc': PAYMENT_GATEWAYS has bank.\n"


def test_period_is_read_with_its_offset_and_ends_now_unless_told_otherwise() -> None:
    given = reconcile.arguments(["--since", "2026-01-01T02:00:00+02:00"])

    assert given.since == datetime(2026, 1, 1, tzinfo=UTC)
    assert abs(datetime.now(UTC) - given.until) < timedelta(minutes=1)
    assert given.gateway is None


def test_period_does_not_reach_into_the_future() -> None:
    given = reconcile.arguments(["--since", "2026-01-01T00:00:00Z", "--until", "9000-01-01T00:00Z"])

    assert given.until <= datetime.now(UTC)


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["--since", "yesterday"],
        ["--since", "2026-01-01"],
        ["--since", "2026-01-01T00:00:00"],
        ["--since", "9000-01-01T00:00:00Z"],
        ["--since", "2026-01-02T00:00:00Z", "--until", "2026-01-01T00:00:00Z"],
        ["--since", "2026-01-01T00:00:00Z", "--until", "now"],
        ["--since", "2026-01-01T00:00:00Z", "--sence", "x"],
    ],
)
def test_command_line_that_is_not_understood_ends_it_with_2_and_a_sentence(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        reconcile.arguments(given)

    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_missing_database_ends_it_with_2_and_says_whose_settings_are_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "")

    code = reconcile.main(["--since", "2026-01-01T00:00:00Z"])

    assert code == 2
    assert "the settings of the worker's environment" in capsys.readouterr().err
