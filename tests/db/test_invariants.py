"""Each invariant fires when, and only when, a record that it guards is corrupt."""

from collections.abc import Sequence

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from db import ledger
from db.engine import Database, transaction
from db.ids import new_id
from db.invariants import INVARIANTS, ROWS_MAX, check, unsettled
from db.ledger import Moved
from ops.config import Settings
from tests.builders import a_placement, place, put_products
from tests.db.corruptions import CORRUPTIONS
from tests.db.history import a_history, cancel, corrupt
from tests.stages import run_stages


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
    assert found[0].subject in {"lamp", *map(str, history.values())}
    assert "None" not in found[0].detail


def test_every_invariant_has_a_record_that_breaks_it() -> None:
    assert {name for name, _ in CORRUPTIONS} == {invariant.name for invariant in INVARIANTS}


async def test_money_of_a_cancelled_order_is_kept_until_its_refund_is_done(
    database: Database, settings: Settings
) -> None:
    history = await a_history(database, settings)
    await cancel(database, history["paid"])
    await cancel(database, history["part"])

    async with transaction(database) as tx:
        assert await check(tx) == []


async def test_a_void_releases_also_what_it_left_to_a_capture_that_was_withdrawn(
    database: Database, settings: Settings, tx: AsyncConnection
) -> None:
    history = await a_history(database, settings)

    less = "UPDATE payment_attempts SET amount_minor = amount_minor - 76"
    await corrupt(tx, [f"{less} WHERE order_id = :dropped AND kind = 'void'"], history)

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
