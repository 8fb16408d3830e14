"""What became of orders is read and compared correctly, and waited for no longer than it moves."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from db.engine import Database
from db.ledger import Moved
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


def test_an_order_whose_money_is_held_is_as_good_as_paid() -> None:
    end = audit.end(ORDER, a_timeline(PLACED, RESERVED, ("payment_authorized", "paid", {})))

    assert (end.label, end.settle_s) == ("paid", 2.0)
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


def _did(captured: int = 500, refunded: int = 0, **more: Any) -> Settlement:
    """What the gateway did: it took all of an order's 500, unless something else is said."""
    given = {"authorized": 500, "captures": 1 if captured else 0, "currencies": {"gbp"}, **more}
    return Settlement(captured=captured, refunded=refunded, **given)


def _booked(did: Settlement) -> dict[UUID, Moved]:
    """Our ledger, as it should be."""
    return {ORDER: Moved(ORDER, did.captured, did.refunded, did.fees)}


@pytest.mark.parametrize(
    ("status", "did", "broken"),
    [
        ("paid", _did(), []),
        ("paid", _did(fees=29), []),
        ("shipped", _did(refunded=100), []),
        ("paid", _did(refunded=500), []),
        ("paid", _did(captured=0), []),
        ("delivered", _did(captured=200), []),
        ("paid", _did(captured=200, voided=300), []),
        ("cancelled", Settlement(), []),
        ("cancelled", _did(refunded=500), []),
        ("cancelled", _did(captured=0, voided=500), []),
        ("cancelled", _did(captured=200, refunded=200, voided=300), []),
        ("paid", Settlement(), ["S3"]),
        ("reserved", _did(), ["S3"]),
        ("cancelled", _did(), ["S3"]),
        ("cancelled", _did(refunded=499), ["S3"]),
        ("cancelled", _did(captured=0), ["S3"]),
        ("cancelled", _did(captured=200, refunded=200), ["S3"]),
        ("paid", _did(captured=400, authorized=400), ["S2", "S3"]),
        ("paid", _did(currencies={"eur"}), ["S2"]),
        ("paid", _did(captured=1000, captures=2, authorized=1000), ["S2", "S3"]),
        ("cancelled", _did(captured=1000, refunded=1000, captures=2, authorized=1000), ["S2"]),
    ],
)
def test_the_gateway_has_the_money_of_confirmed_orders_and_nothing_else(
    status: str, did: Settlement, broken: Sequence[str]
) -> None:
    found = audit.compare({str(ORDER): did}, [Due(ORDER, status, 500, "GBP")], _booked(did))

    assert [violation.invariant[:2] for violation in found] == broken
    assert {violation.subject for violation in found} <= {str(ORDER)}


@pytest.mark.parametrize(
    "booked",
    [
        Moved(ORDER, captured=499, refunded=100, fees=29),
        Moved(ORDER, captured=500, refunded=0, fees=29),
        Moved(ORDER, captured=500, refunded=100, fees=0),
    ],
)
def test_our_ledger_says_what_the_gateway_did(booked: Moved) -> None:
    did, due = _did(refunded=100, fees=29), [Due(ORDER, "paid", 500, "GBP")]

    [found] = audit.compare({str(ORDER): did}, due, {ORDER: booked})

    assert found.invariant == "S4 our ledger is the gateway's"
    assert found.detail.endswith("the gateway's: captured 500, refunded 100, fees 29")


def test_an_order_the_gateway_never_heard_of_has_paid_nothing() -> None:
    booked = {ORDER: Moved(ORDER, captured=500, refunded=0, fees=0)}

    assert audit.compare({}, [Due(ORDER, "cancelled", 500, "GBP")], {}) == []
    assert len(audit.compare({}, [Due(ORDER, "paid", 500, "GBP")], {})) == 1
    assert len(audit.compare({}, [Due(ORDER, "cancelled", 500, "GBP")], booked)) == 1


async def test_what_our_ledger_says_is_read_of_the_orders_asked_for(
    database: Database, settings: Settings
) -> None:
    await put_products(database, lamp=10)
    paid, other = await place(database, *(a_placement(("lamp", 1)) for _ in range(2)))
    await run_stages(database, settings)

    assert await audit.moved(database, [paid]) == {
        paid: Moved(paid, captured=500, refunded=0, fees=0)
    }
    assert set(await audit.moved(database, [paid, other])) == {paid, other}


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
