"""Each invariant fires when, and only when, a record that it guards is corrupt."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from db import orders
from db.engine import Database, transaction
from db.ids import new_id
from db.invariants import INVARIANTS, ROWS_MAX, check, unsettled
from domain import order
from domain.event import CancelReason
from domain.payment import Call, Declined, Outcome
from ops.bench.outside import InstantGateway
from ops.config import Settings
from tests.builders import a_placement, place, put_products
from tests.stages import drain_inventory, drain_payments, run_stages, settle_payments

# What breaks the rows of order :paid, :undone (paid, then cancelled), :held or of SKU lamp.
CORRUPTIONS: Sequence[tuple[str, Sequence[str]]] = (
    (
        "S1 reserved stock is on hand",
        [
            "ALTER TABLE stock DROP CONSTRAINT stock_check",
            "UPDATE stock SET on_hand = reserved - 1 WHERE sku = 'lamp'",
        ],
    ),
    (
        "S1 reserved stock is what orders hold",
        ["UPDATE stock SET reserved = reserved + 1 WHERE sku = 'lamp'"],
    ),
    (
        "S1 reserved stock is what orders hold",
        ["DELETE FROM stock WHERE sku = 'lamp'"],
    ),
    (
        "S1 an order holds what its status says",
        ["UPDATE reservations SET state = 'released' WHERE order_id = :paid AND sku = 'lamp'"],
    ),
    (
        "S1 an order holds what its status says",
        ["DELETE FROM reservations WHERE order_id = :paid AND sku = 'lamp'"],
    ),
    (
        "S1 an order holds what its status says",
        ["UPDATE reservations SET quantity = 9 WHERE order_id = :undone AND sku = 'lamp'"],
    ),
    (
        "S2 a charge is of the order's total, once",
        [
            "UPDATE payment_attempts SET currency = 'EUR' WHERE order_id = :paid",
            "UPDATE ledger_entries SET currency = 'EUR' WHERE order_id = :paid",
        ],
    ),
    (
        "S2 no more is captured than was authorized, nor refunded than was captured",
        [
            """
            INSERT INTO payment_attempts
                (id, order_id, kind, state, amount_minor, currency, gateway)
            VALUES (gen_random_uuid(), :paid, 'refund', 'succeeded', 1501, 'GBP', 'stripe')
            """,
            """
            INSERT INTO ledger_entries (transaction_id, account, order_id, amount_minor, currency)
            SELECT id, account, order_id, amount, 'GBP' FROM payment_attempts,
                (VALUES ('gateway_cash', -1501), ('refunds', 1501)) AS side (account, amount)
            WHERE order_id = :paid AND kind = 'refund'
            """,
        ],
    ),
    (
        "S3 an order is confirmed if and only if it is paid",
        [
            "DELETE FROM payment_attempts WHERE order_id = :paid",
            "DELETE FROM ledger_entries WHERE order_id = :paid",
        ],
    ),
    (
        "S3 an order is confirmed if and only if it is paid",
        [
            """
            INSERT INTO payment_attempts
                (id, order_id, kind, state, amount_minor, currency, gateway)
            VALUES (gen_random_uuid(), :held, 'charge', 'succeeded', 1500, 'GBP', 'stripe')
            """,
            """
            INSERT INTO ledger_entries (transaction_id, account, order_id, amount_minor, currency)
            SELECT id, account, order_id, amount, 'GBP' FROM payment_attempts,
                (VALUES ('gateway_cash', 1500), ('receivable', -1500)) AS side (account, amount)
            WHERE order_id = :held
            """,
        ],
    ),
    (
        "S3 a cancelled order at rest keeps no money",
        [
            """
            DELETE FROM ledger_entries WHERE transaction_id IN (
                SELECT id FROM payment_attempts WHERE order_id = :undone AND kind = 'refund')
            """,
            "DELETE FROM payment_attempts WHERE order_id = :undone AND kind = 'refund'",
        ],
    ),
    (
        "S4 a ledger transaction sums to zero",
        [
            """
            UPDATE ledger_entries SET amount_minor = amount_minor + 1
            WHERE order_id = :paid AND account = 'gateway_cash'
            """
        ],
    ),
    (
        "S4 the ledger is what the gateway did",
        ["UPDATE payment_attempts SET state = 'unknown' WHERE order_id = :paid"],
    ),
    (
        "S8 events are numbered without gaps up to the order's version",
        [
            "UPDATE order_events SET version = 4 WHERE order_id = :paid AND version = 3",
            "UPDATE orders SET version = 4 WHERE id = :paid",
        ],
    ),
    (
        "S8 events are numbered without gaps up to the order's version",
        ["DELETE FROM order_events WHERE order_id = :paid"],
    ),
    (
        "S8 every step is a legal move",
        ["UPDATE order_events SET status = 'backordered' WHERE order_id = :paid AND version = 2"],
    ),
    (
        "S8 every step is a legal move",
        ["UPDATE order_events SET status = 'reserved' WHERE order_id = :paid AND version = 1"],
    ),
    (
        "S8 an order's status is that of its last event",
        ["UPDATE orders SET status = 'shipped' WHERE id = :paid"],
    ),
)


class DecliningGateway(InstantGateway):
    async def execute(self, call: Call) -> Outcome:
        del call
        return Declined("insufficient_funds")


async def a_history(database: Database, settings: Settings) -> dict[str, UUID]:
    """Orders in every state the stages lead to, by what is the matter with them."""
    await put_products(database, lamp=10, vase=10)
    wanted = [a_placement(("lamp", 2), ("vase", 1)) for _ in range(2)]
    paid, undone, short = await place(database, *wanted, a_placement(("lamp", 11)))
    await run_stages(database, settings)
    async with transaction(database) as tx:
        await orders.change(tx, undone, lambda o: order.cancel(o, reason=CancelReason.CUSTOMER))
    await run_stages(database, settings)
    await settle_payments(database, settings, InstantGateway())
    [declined] = await place(database, a_placement(("vase", 1)))
    await drain_inventory(database)
    await drain_payments(database, settings, DecliningGateway())
    [held] = await place(database, a_placement(("lamp", 3)))
    await drain_inventory(database)
    return {"paid": paid, "undone": undone, "short": short, "declined": declined, "held": held}


async def corrupt(tx: AsyncConnection, statements: Sequence[str], history: dict[str, UUID]) -> None:
    await tx.exec_driver_sql("SET LOCAL session_replication_role = replica")
    for statement in statements:
        for name, order_id in history.items():
            statement = statement.replace(f":{name}", f"'{order_id}'")  # noqa: PLW2901 - it is filled in
        changed = await tx.exec_driver_sql(statement)
        assert changed.rowcount != 0, statement


async def test_orders_in_every_state_break_nothing(database: Database, settings: Settings) -> None:
    await a_history(database, settings)
    await place(database, a_placement(("lamp", 1)))

    async with transaction(database) as tx:
        assert await check(tx) == []


@pytest.mark.parametrize(("name", "statements"), CORRUPTIONS)
async def test_a_corrupt_record_breaks_its_invariant_and_no_other(
    database: Database,
    settings: Settings,
    tx: AsyncConnection,
    name: str,
    statements: Sequence[str],
) -> None:
    history = await a_history(database, settings)

    await corrupt(tx, statements, history)

    found = await check(tx)
    assert [violation.invariant for violation in found] == [name]
    assert found[0].subject in {"lamp", *map(str, history.values())} or "ledger" in name
    assert "None" not in found[0].detail


def test_every_invariant_has_a_record_that_breaks_it() -> None:
    assert {name for name, _ in CORRUPTIONS} == {invariant.name for invariant in INVARIANTS}


async def test_money_of_a_cancelled_order_is_kept_until_its_refund_is_done(
    database: Database, settings: Settings
) -> None:
    history = await a_history(database, settings)
    async with transaction(database) as tx:
        await orders.change(
            tx, history["paid"], lambda o: order.cancel(o, reason=CancelReason.CUSTOMER)
        )

    async with transaction(database) as tx:
        assert await check(tx) == []


async def test_older_orders_are_left_out_on_request(
    database: Database, settings: Settings, tx: AsyncConnection
) -> None:
    history = await a_history(database, settings)
    await corrupt(tx, ["UPDATE orders SET status = 'shipped' WHERE id = :paid"], history)

    assert await check(tx, orders_from=new_id()) == []
    assert len(await check(tx, orders_from=history["paid"])) == 1


async def test_only_the_first_rows_of_a_broken_invariant_are_told(
    database: Database, tx: AsyncConnection
) -> None:
    await put_products(database, **{f"lamp-{n}": 5 for n in range(ROWS_MAX + 1)})
    await tx.exec_driver_sql("UPDATE stock SET reserved = 1")

    assert len(await check(tx)) == ROWS_MAX


async def test_an_order_is_unsettled_while_it_has_work_to_do(
    database: Database, settings: Settings
) -> None:
    history = await a_history(database, settings)

    async with transaction(database) as tx:
        waiting = {found.order_id: found.kind for found in await unsettled(tx)}
        asked = await unsettled(tx, [history["paid"], history["held"]])
    assert waiting == {history["held"]: "charge", history["declined"]: "notify"}
    assert [found.order_id for found in asked] == [history["held"]]

    await run_stages(database, settings)

    async with transaction(database) as tx:
        assert await unsettled(tx) == []
