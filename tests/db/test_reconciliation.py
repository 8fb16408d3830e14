"""Accounts as reconciliation reads them: the sums of all attempts of an order."""

from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import reconciliation
from db.engine import Database
from db.ids import new_id
from domain.funds import AttemptKind, AttemptState
from domain.reconciliation import Account, Comparison
from tests.builders import a_placement, place, put_products

TAKING = AttemptKind.AUTHORIZE


@pytest.fixture
async def order_id(database: Database) -> UUID:
    await put_products(database, APPLE=10)
    [placed] = await place(database, a_placement(("APPLE", 2)))
    return placed


async def put(  # noqa: PLR0913 - each is what some test is about
    tx: AsyncConnection,
    order_id: UUID,
    kind: str,
    amount_minor: int,
    *,
    state: str = "succeeded",
    final: bool = False,
) -> UUID:
    """Write an attempt as it was an hour ago."""
    attempt_id = new_id()
    await tx.execute(
        text(
            "INSERT INTO payment_attempts (id, order_id, kind, state, amount_minor, currency,"
            " gateway, gateway_ref, final, sent_at, updated_at) VALUES (:id, :order_id, :kind,"
            " :state, :minor, 'GBP', 'bank', 'pi_1', :final, now() - interval '1 hour',"
            " now() - interval '1 hour')"
        ),
        {
            "id": attempt_id,
            "order_id": order_id,
            "kind": kind,
            "state": state,
            "minor": amount_minor,
            "final": final,
        },
    )
    return attempt_id


async def account(
    tx: AsyncConnection, attempt_id: UUID, *, asked_at: datetime | None = None
) -> Account:
    asked_at = asked_at or await reconciliation.asked_at(tx)
    return (await reconciliation.accounts(tx, [attempt_id], asked_at=asked_at))[attempt_id]


async def test_account_sums_what_was_captured_and_refunded(
    tx: AsyncConnection, order_id: UUID
) -> None:
    attempt_id = await put(tx, order_id, TAKING, 1000)
    for kind, minor in (("capture", 300), ("capture", 200), ("refund", 50), ("refund", 70)):
        await put(tx, order_id, kind, minor)
    await tx.execute(text("UPDATE payment_attempts SET fee_minor = 3 WHERE kind = 'capture'"))
    await put(tx, order_id, "capture", 111, state="declined")
    await put(tx, order_id, "refund", 111, state="declined")

    found = await account(tx, attempt_id)

    assert (found.order_id, found.kind, found.state) == (order_id, TAKING, AttemptState.SUCCEEDED)
    assert (found.amount_minor, found.total_minor) == (1000, 1000)
    assert (found.captured_minor, found.refunded_minor) == (500, 120)
    assert found.fee_minor == 6
    assert found.held_minor() == 500
    assert (found.released, found.moving) == (False, False)


@pytest.mark.parametrize(
    ("kind", "state", "final", "released"),
    [
        ("void", "succeeded", True, True),
        ("capture", "succeeded", True, True),
        ("capture", "succeeded", False, False),
        ("void", "declined", True, False),
        ("capture", "declined", True, False),
    ],
)
async def test_void_and_last_capture_release_the_rest(  # noqa: PLR0913 - one case each
    tx: AsyncConnection, order_id: UUID, kind: str, state: str, *, final: bool, released: bool
) -> None:
    attempt_id = await put(tx, order_id, TAKING, 1000)
    await put(tx, order_id, kind, 100, state=state, final=final)

    assert (await account(tx, attempt_id)).released is released


@pytest.mark.parametrize("state", ["created", "sent", "unknown", "action_required"])
async def test_account_moves_while_something_of_its_order_is_not_settled(
    tx: AsyncConnection, order_id: UUID, state: str
) -> None:
    attempt_id = await put(tx, order_id, TAKING, 1000)
    await put(tx, order_id, "refund", 100, state=state)

    assert (await account(tx, attempt_id)).moving


async def test_charge_that_was_never_sent_does_not_move(
    tx: AsyncConnection, order_id: UUID
) -> None:
    attempt_id = await put(tx, order_id, "charge", 1000, state="created")

    assert not (await account(tx, attempt_id)).moving


async def test_account_that_changed_since_the_gateway_was_asked_moves(
    tx: AsyncConnection, order_id: UUID
) -> None:
    attempt_id = await put(tx, order_id, "charge", 1000)
    before = (await tx.execute(text("SELECT now() - interval '2 hours'"))).scalar_one()

    assert (await account(tx, attempt_id, asked_at=before)).moving


async def test_refund_is_no_account(tx: AsyncConnection, order_id: UUID) -> None:
    await put(tx, order_id, "charge", 1000)
    refund = await put(tx, order_id, "refund", 100)
    now = await reconciliation.asked_at(tx)

    assert await reconciliation.accounts(tx, [refund], asked_at=now) == {}


async def test_looks_that_found_nothing_write_nothing(tx: AsyncConnection) -> None:
    await reconciliation.record(tx, Comparison((), (), (), ()))

    for table in ("findings", "payment_attempts"):
        count = await tx.execute(text(f"SELECT count(*) FROM {table}"))  # noqa: S608 - of ours
        assert count.scalar_one() == 0
