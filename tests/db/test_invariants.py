"""Each invariant fires when, and only when, a record that it guards is corrupt."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from db import ledger, orders, payables, payments
from db.engine import Database, transaction
from db.ids import new_id
from db.invariants import INVARIANTS, ROWS_MAX, check, unsettled
from db.ledger import Moved
from domain import order, settlement
from domain.event import CancelReason
from domain.funds import ask_capture
from domain.payment import Call, Capture, Charge, Declined, Outcome, Succeeded, TakeAuthorized
from ops.bench.outside import InstantGateway
from ops.config import Settings
from tests.builders import a_placement, place, put_products
from tests.db.corruptions import CORRUPTIONS
from tests.stages import drain_inventory, drain_payments, run_stages, settle_payments


class CostlyGateway(InstantGateway):
    """Keeps a part of what it takes."""

    async def execute(self, call: Call) -> Outcome:
        done = await super().execute(call)
        if isinstance(call, Charge | TakeAuthorized) and isinstance(done, Succeeded):
            return msgspec.structs.replace(done, fee_minor=29)
        return done


class DecliningGateway(InstantGateway):
    async def execute(self, call: Call) -> Outcome:
        del call
        return Declined("insufficient_funds")


async def a_history(database: Database, settings: Settings) -> dict[str, UUID]:
    """Orders in every state the stages lead to, by what is the matter with them."""
    await put_products(database, lamp=10, vase=10)
    wanted = [a_placement(("lamp", 2), ("vase", 1)) for _ in range(2)]
    manual = [a_placement(("vase", 1), capture=Capture.MANUAL) for _ in range(2)]
    paid, undone, part, dropped, short = await place(
        database, *wanted, *manual, a_placement(("lamp", 11))
    )
    await run_stages(database, settings, gateway=CostlyGateway())
    await _capture(database, part, 200)
    await _capture(database, dropped, 200)
    await settle_payments(database, settings, CostlyGateway())
    await _cancel(database, undone)
    await _cancel(database, dropped)
    await settle_payments(database, settings, CostlyGateway())
    await run_stages(database, settings)
    [declined] = await place(database, a_placement(("vase", 1)))
    await drain_inventory(database)
    await drain_payments(database, settings, DecliningGateway())
    [held] = await place(database, a_placement(("lamp", 3)))
    await drain_inventory(database)
    known = {"paid": paid, "undone": undone, "part": part, "dropped": dropped, "short": short}
    return {**known, "declined": declined, "held": held}


async def _cancel(database: Database, order_id: UUID) -> None:
    async with transaction(database) as tx:
        await orders.change(tx, order_id, partial(order.cancel, reason=CancelReason.CUSTOMER))


async def _capture(database: Database, order_id: UUID, amount_minor: int) -> None:
    """Ask for a part of what is authorized, as staff does."""
    async with transaction(database) as tx:
        payable = await payables.lock(tx, order_id)
        asked = ask_capture(payable, new_id(), amount_minor=amount_minor, final=False)
        await payments.insert(tx, [(payable, asked)])
        decide = partial(settlement.request, asked=asked, actor="staff")
        await orders.change(tx, order_id, decide)


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
    follows = {"S4 the ledger is what the gateway did"} if name.startswith("S4") else set[str]()
    assert {violation.invariant for violation in found} | follows == {name} | follows
    assert found[0].subject in {"lamp", *map(str, history.values())} or "ledger" in name
    assert "None" not in found[0].detail


def test_every_invariant_has_a_record_that_breaks_it() -> None:
    assert {name for name, _ in CORRUPTIONS} == {invariant.name for invariant in INVARIANTS}


async def test_money_of_a_cancelled_order_is_kept_until_its_refund_is_done(
    database: Database, settings: Settings
) -> None:
    history = await a_history(database, settings)
    await _cancel(database, history["paid"])
    await _cancel(database, history["part"])

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


async def test_what_was_moved_for_orders_is_what_their_ledger_comes_to(
    database: Database, settings: Settings
) -> None:
    history = await a_history(database, settings)
    asked = [history[name] for name in ("paid", "undone", "part", "held")]

    async with transaction(database) as tx:
        moved = {found.order_id: found for found in await ledger.moved(tx, asked)}

    assert moved == {
        history["paid"]: Moved(history["paid"], captured=1500, refunded=0, fees=29),
        history["undone"]: Moved(history["undone"], captured=1500, refunded=1500, fees=29),
        history["part"]: Moved(history["part"], captured=200, refunded=0, fees=29),
    }
