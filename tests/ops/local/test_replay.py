"""A replay through a running platform, as a user starts it, and what it calls wrong."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from ops.local.assortment import Assortment
from ops.local.audit import End
from ops.local.client import Accepted, Refused
from ops.local.invoices import COLUMNS, Invoice, Sales
from ops.local.replay import Ran, refusals, summary, what_is_wrong
from ops.local.settling import Settled
from ops.local.traffic import Moved
from ops.local.up import platform

ROWS = (
    # A customer's order, one code of it in two lines.
    ("536365", "85123A", "HEART", "6", "2010-12-01 08:26:00", "2.55", "17850.0", "United Kingdom"),
    ("536365", "85123A", "HEART", "2", "2010-12-01 08:26:00", "2.55", "17850.0", "United Kingdom"),
    ("536365", "POST", "POSTAGE", "1", "2010-12-01 08:26:00", "18.0", "17850.0", "United Kingdom"),
    # A guest's, with a line that was written off.
    ("536366", "BANK CHARGES", "", "1", "2010-12-01 08:28:00", "15", "", "Narnia"),
    ("536366", "22139", "", "-5", "2010-12-01 08:28:00", "0.0", "", "Narnia"),
    # Nothing of use, and more than a card can be charged.
    ("536367", "22139", "", "56", "2010-12-01 08:30:00", "0.0", "", "United Kingdom"),
    ("536368", "GOLD", "BAR", "3", "2010-12-01 08:31:00", "400000", "13047.0", "France"),
    # The first order taken back, and something that nobody ordered.
    ("C536369", "85123A", "HEART", "-8", "2010-12-01 09:00:00", "2.55", "17850.0", "France"),
    ("C536369", "POST", "POSTAGE", "-1", "2010-12-01 09:00:00", "18.0", "17850.0", "France"),
    ("C536370", "D", "Discount", "-1", "2010-12-01 09:01:00", "27.5", "17850.0", "France"),
)
SUMMED_UP = {
    "categories": 1,
    "products": 4,
    "variants": 4,
    "price_lists": 0,
    "prices": 0,
    "customers": 1,
    "invoices": 6,
    "accepted": 2,
    "refused": {"price_not_positive": 1, "total_too_large": 1},
    "cancellations": {"applied": 1, "unmatched": 1},
    "paid": 1,
    "cancelled": 1,
    "violations": 0,
}


async def run_replay(env: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """Run it as a user does; exit code and output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.local", "replay", *arguments),
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    written, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, written.decode()


def summed_up(text: str) -> dict[str, Any]:
    result = json.loads(text.splitlines()[-1])
    assert result.pop("orders_per_s") > 0
    return result


@pytest.mark.usefixtures("database")
async def test_replay_accounts_for_every_invoice_however_often_it_is_run(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    env = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url}
    file = tmp_path / "invoices.csv"
    file.write_text("\n".join(map(",".join, [COLUMNS, *ROWS])))
    arguments = str(file), "--state", str(tmp_path)

    async with platform(tmp_path, env, say=lambda _name, _line: None) as running:
        first = await run_replay(env, *arguments)
        second = await run_replay(env, str(file), "100000", *arguments[1:])

    assert first[0] == second[0] == 0, first[1] + second[1]
    assert f"Using the platform at {running.url}." in first[1]
    assert summed_up(first[1]) == summed_up(second[1]) == SUMMED_UP
    assert "orders shipped to ZZ, country Narnia" in first[1]
    refused = (tmp_path / "replay-refused.csv").read_text().splitlines()
    assert refused[0] == "line,invoice,reason,detail"
    assert [row.split(",")[:3] for row in refused[1:]] == [
        ["6", "536366", "quantity_not_positive"],
        ["7", "536367", "price_not_positive"],
        ["all", "536367", "price_not_positive"],
        ["all", "536368", "total_too_large"],
    ]
    assert "120000000 is over 99999999" in refused[4]


async def test_a_file_that_is_not_there_and_a_speed_that_is_none_are_named(tmp_path: Path) -> None:
    missing = await run_replay(os.environ, str(tmp_path / "none.csv"))
    wrong = await run_replay(os.environ, str(tmp_path / "none.csv"), "-1")

    assert missing == (1, f"{tmp_path}/none.csv cannot be read: No such file or directory.\n")
    assert wrong[0] == 2
    assert wrong[1].endswith("-1 is neither max nor a factor such as 1000\n")


def a_run(
    labels: Sequence[str], *, cancelled: Sequence[int] = (), wrong: Sequence[str] = ()
) -> Ran:
    """Accepted invoices 0, 1, ... that ended with these labels, and one that the API refused."""
    numbers = [str(n) for n in range(len(labels))]
    invoices = [
        Invoice(number, False, datetime.min, "", "", {"lamp": 1}, None)  # noqa: DTZ901, FBT003 - any
        for number in (*numbers, "refused")
    ]
    moved = Moved(
        accepted={n: Accepted(UUID(int=int(n)), 500, "GBP", 0.01, False, b"") for n in numbers},  # noqa: FBT003 - not a replay
        refused={"refused": Refused("total_too_large", "Split it.")},
        cancelled_by={str(n): f"C{n}" for n in cancelled},
    )
    invoices += [
        Invoice(by, True, None, "", "", {}, None)  # noqa: FBT003 - it cancels
        for by in moved.cancelled_by.values()
    ]
    ends = [
        End(UUID(int=n), "paid" if label == "paid" else "cancelled", label, None, frozenset())
        for n, label in enumerate(labels)
    ]
    nothing = Assortment([], [], [])
    return Ran(Sales(invoices, [], []), nothing, moved, Settled([], ends, [], wrong), seconds=2.0)


def test_nothing_is_wrong_with_orders_paid_unless_their_customer_cancelled_them() -> None:
    ran = a_run(["paid", "customer"], cancelled=[1])

    assert what_is_wrong(ran) == []
    assert refusals(ran) == {"total_too_large": 1}
    assert summary(ran, violations=0).orders_per_s == 1.0


@pytest.mark.parametrize(
    ("labels", "cancelled", "expected"),
    [(["out_of_stock"], [], "paid"), (["paid"], [0], "customer"), (["customer"], [], "paid")],
    ids=str,
)
def test_an_order_that_ended_otherwise_is_wrong(
    labels: Sequence[str], cancelled: Sequence[int], expected: str
) -> None:
    [wrong] = what_is_wrong(a_run(labels, cancelled=cancelled))

    assert f"of invoice 0 must end as {expected}, but is {labels[0]}" in wrong


def test_a_broken_promise_and_a_lost_invoice_are_wrong() -> None:
    ran = a_run(["paid"], wrong=["S1 is broken."])
    ran.moved.refused.clear()

    assert what_is_wrong(ran) == ["S1 is broken.", "Of 2 invoices 1 are accounted for."]
