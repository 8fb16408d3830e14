"""What became of orders is read and compared correctly, and waited for no longer than it moves."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from db.engine import Database
from ops.config import Settings
from ops.local import audit
from ops.local.audit import Due, NotSettled
from ops.local.client import Event
from ops.sandbox.ledger import Settlement
from tests.builders import a_placement, place, put_products
from tests.stages import drain_inventory, run_stages

ORDER = UUID(int=7)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def a_timeline(*steps: tuple[str, str, dict[str, Any]]) -> list[Event]:
    """Events a second apart, each of a kind, the status after it and its data."""
    return [
        Event(n, kind, status, data, BEGAN + timedelta(seconds=n))
        for n, (kind, status, data) in enumerate(steps, 1)
    ]


PLACED = ("order_placed", "placed", {})
RESERVED = ("stock_reserved", "reserved", {})
PAID = ("order_paid", "paid", {})
CANCELLED = ("order_cancelled", "cancelled", {"reason": "customer"})
REFUNDED = ("payment_refunded", "cancelled", {})


def test_a_paid_order_has_its_time_and_one_mail_due() -> None:
    end = audit.end(ORDER, a_timeline(PLACED, RESERVED, PAID))

    assert (end.status, end.label, end.settle_s) == ("paid", "paid", 2.0)
    assert end.due == {f"{ORDER}.order_confirmed@orderflow"}


def test_an_order_cancelled_after_it_was_paid_has_its_reason_and_two_mails_due() -> None:
    end = audit.end(ORDER, a_timeline(PLACED, RESERVED, PAID, CANCELLED, REFUNDED))

    assert (end.status, end.label) == ("cancelled", "customer")
    assert end.due == {
        f"{ORDER}.order_confirmed@orderflow",
        f"{ORDER}.order_cancelled@orderflow",
    }


def test_an_order_under_way_has_its_status_and_no_mail_due() -> None:
    end = audit.end(ORDER, a_timeline(PLACED, RESERVED))

    assert (end.label, end.settle_s, end.due) == ("reserved", None, frozenset())


@pytest.mark.parametrize(
    ("status", "did", "broken"),
    [
        ("paid", Settlement(captured=500, captures=1, currencies={"gbp"}), []),
        ("cancelled", Settlement(), []),
        ("cancelled", Settlement(captured=500, refunded=500, captures=1, currencies={"gbp"}), []),
        ("paid", Settlement(), ["S3"]),
        ("reserved", Settlement(captured=500, captures=1, currencies={"gbp"}), ["S3"]),
        ("cancelled", Settlement(captured=500, captures=1, currencies={"gbp"}), ["S3"]),
        ("paid", Settlement(captured=400, captures=1, currencies={"gbp"}), ["S2", "S3"]),
        ("paid", Settlement(captured=500, captures=1, currencies={"eur"}), ["S2"]),
        ("paid", Settlement(captured=1000, captures=2, currencies={"gbp"}), ["S2", "S3"]),
        (
            "paid",
            Settlement(captured=1000, refunded=500, captures=2, currencies={"gbp"}),
            ["S2"],
        ),
    ],
)
def test_the_gateway_keeps_the_total_of_confirmed_orders_and_nothing_else(
    status: str, did: Settlement, broken: Sequence[str]
) -> None:
    found = audit.compare({str(ORDER): did}, [Due(ORDER, status, 500, "GBP")])

    assert [violation.invariant[:2] for violation in found] == broken
    assert {violation.subject for violation in found} <= {str(ORDER)}


def test_an_order_the_gateway_never_heard_of_has_paid_nothing() -> None:
    assert audit.compare({}, [Due(ORDER, "cancelled", 500, "GBP")]) == []
    assert len(audit.compare({}, [Due(ORDER, "paid", 500, "GBP")])) == 1


async def test_rest_is_reached_when_no_work_is_left(database: Database, settings: Settings) -> None:
    await put_products(database, lamp=10)
    ids = await place(database, a_placement(("lamp", 1)))
    await run_stages(database, settings)
    heard: list[int] = []

    await audit.rest(database, ids, told=heard.append)

    assert heard == [0]


async def test_orders_that_do_not_move_are_named_with_what_they_wait_for(
    database: Database,
) -> None:
    await put_products(database, lamp=100)
    ids = await place(database, *(a_placement(("lamp", 1)) for _ in range(11)))
    await drain_inventory(database)

    with pytest.raises(NotSettled) as stuck:
        await audit.rest(database, ids, patience_s=0.01)

    first, second, *_, last = str(stuck.value).splitlines()
    assert first.startswith("11 orders have work left")
    assert second.startswith(f"  order {min(ids)}: charge is ready, attempt 0, due ")
    assert "last error" not in second
    assert last == "  and 1 more"
