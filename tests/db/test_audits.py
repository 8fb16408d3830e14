"""The auditor sees what is broken, once each, wherever and whenever it was written."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import audits, findings, placements, readings
from db.audits import AUDITED, FOUND_MAX, Limits, Look
from db.engine import Database, transaction
from db.invariants import LIVENESS
from ops.config import Settings
from tests.builders import a_placement, place, put_products
from tests.db.corruptions import CORRUPTIONS, STALLS
from tests.db.history import a_history, cancel, corrupt
from tests.stages import run_stages

# What changed, and no order in turn.
CHANGED = Limits(rolled=0)
ALTERED = "UPDATE orders SET total_minor = total_minor + 1 WHERE id = :order"
KEPT = ("orders", "order_lines", "order_events", "reservations", "stock", "tasks")
KEPT += ("payment_attempts", "ledger_entries", "idempotency_keys", "discount_redemptions")
KEPT += ("discounts", "reviews", "product_ratings", "catalogue_products", "categories")
KEPT += ("stock_levels", "reservation_parts", "backorders")


async def look(tx: AsyncConnection, limits: Limits = CHANGED) -> Look:
    seen = await audits.look(tx, limits)
    assert seen is not None
    return seen


async def look_once(database: Database, limits: Limits = CHANGED) -> Look:
    async with transaction(database) as tx:
        return await look(tx, limits)


async def broken(tx: AsyncConnection) -> dict[str, float]:
    """Read what the metric says of each invariant that is broken."""
    found = (await readings.find(tx))["orderflow_invariant_violations"]
    assert {name for (name,) in found} == {invariant.name for invariant in AUDITED}
    return {name: count for (name,), count in found.items() if count}


async def opened(tx: AsyncConnection, *, is_open: bool = True) -> list[tuple[str, UUID | None]]:
    found = await findings.page(tx, is_open=is_open, before=None, limit=200)
    return [(one.kind, one.order_id) for one in found]


@asynccontextmanager
async def restored(tx: AsyncConnection) -> AsyncGenerator[None]:
    """Have all records afterwards as they were before."""
    for name in KEPT:
        await tx.exec_driver_sql(f"CREATE TEMP TABLE kept_{name} ON COMMIT DROP AS TABLE {name}")
    yield
    for name in KEPT:
        await tx.exec_driver_sql(f"DELETE FROM {name}")  # noqa: S608 - names of ours
        await tx.exec_driver_sql(
            f"INSERT INTO {name} OVERRIDING SYSTEM VALUE SELECT * FROM kept_{name}"  # noqa: S608 - names of ours
        )


@pytest.mark.parametrize(("name", "statements"), [*CORRUPTIONS, *STALLS])
async def test_corrupt_record_is_one_finding_until_it_is_mended(
    database: Database,
    settings: Settings,
    tx: AsyncConnection,
    name: str,
    statements: Sequence[str],
) -> None:
    history = await a_history(database, settings)

    async with restored(tx):
        await corrupt(tx, statements, history)
        first, again = await look(tx), await look(tx)
        red, found = await broken(tx), await opened(tx)
    await look(tx)

    # A sum that is wrong is not what was done, either.
    allowed = {name, "S4 the ledger is what the gateway did"} if name.startswith("S4") else {name}
    assert {name} <= red.keys() <= allowed
    assert red[name] == 1
    assert {kind for kind, _ in found} == red.keys()
    of_orders = {invariant.name for invariant in AUDITED if invariant.of_orders}
    assert all(order_id in history.values() for kind, order_id in found if kind in of_orders)
    assert {one.invariant for one in first.new} == red.keys()
    assert again.new == []
    assert await broken(tx) == {}
    assert sorted(await opened(tx, is_open=False), key=str) == sorted(found, key=str)


def test_every_stall_has_a_record_that_is_one() -> None:
    assert {name for name, _ in STALLS} == {invariant.name for invariant in LIVENESS}


async def test_orders_in_every_state_break_nothing(database: Database, settings: Settings) -> None:
    await a_history(database, settings)
    await place(database, a_placement(("lamp", 1)))

    seen = await look_once(database, Limits())

    assert (seen.new, seen.orders, seen.missed, seen.complete) == ([], 8, 0, True)


async def test_order_that_waits_for_another_payment_method_has_a_reason(
    database: Database, settings: Settings, tx: AsyncConnection
) -> None:
    history = await a_history(database, settings)
    decline = """
        INSERT INTO payment_attempts (id, order_id, kind, state, amount_minor, currency, gateway)
        VALUES (gen_random_uuid(), :held, 'charge', 'declined', 1500, 'GBP', 'stripe')
        """
    await corrupt(tx, ["DELETE FROM tasks WHERE order_id = :held", decline], history)
    assert (await look(tx)).new == []

    past = "UPDATE orders SET reserved_until = now() - interval '61 s' WHERE id = :held"
    await corrupt(tx, [past], history)

    [found] = (await look(tx)).new
    assert (found.order_id, found.invariant[:2]) == (history["held"], "L1")


async def placed(database: Database, count: int) -> list[UUID]:
    """Place orders, each in a transaction of its own."""
    await put_products(database, lamp=10)
    return [(await place(database, a_placement(("lamp", 1))))[0] for _ in range(count)]


async def test_what_was_seen_is_not_looked_at_again_until_it_changes(
    database: Database, settings: Settings
) -> None:
    await placed(database, 2)

    assert (await look_once(database)).orders == 2
    assert (await look_once(database)).orders == 0
    await run_stages(database, settings)
    assert (await look_once(database)).orders == 2


async def test_transaction_in_flight_is_not_passed_over(database: Database) -> None:
    await put_products(database, lamp=10)
    async with transaction(database) as slow:
        late = a_placement(("lamp", 1), email="late@example.com")
        await placements.insert_many(slow, [late], msgspec.json.encode)
        await corrupt(slow, [ALTERED], {"order": late.order_id})
        await placed(database, 2)
        before = await look_once(database)
        await placed(database, 2)
        meanwhile = await look_once(database)
    after = await look_once(database)

    assert (before.orders, before.complete, meanwhile.orders) == (2, True, 2)
    assert (before.new, meanwhile.new) == ([], [])
    assert [(one.order_id, after.orders) for one in after.new] == [(late.order_id, 1)]


async def test_old_order_is_found_when_it_is_its_turn(database: Database) -> None:
    ids = await placed(database, 5)
    await look_once(database)
    async with transaction(database) as tx:
        await corrupt(tx, [ALTERED], {"order": ids[3]})

    unchanged = await look_once(database)
    turns = [await look_once(database, Limits(rolled=2)) for _ in range(3)]

    assert unchanged.orders == 0
    assert [len(turn.new) for turn in turns] == [0, 1, 0]
    async with transaction(database) as tx:
        assert (await readings.find(tx))["orderflow_audit_round_timestamp_seconds"][()] > 0
    # The finding is looked at as well, each time.
    assert [(await look_once(database, Limits(rolled=2))).orders for _ in range(3)] == [3, 2, 2]


async def test_more_changes_than_a_look_takes_are_left_to_the_next(database: Database) -> None:
    await placed(database, 5)

    seen = [await look_once(database, Limits(rolled=0, changed=2)) for _ in range(4)]

    assert [(one.orders, one.complete) for one in seen] == [
        (2, False),
        (2, False),
        (1, True),
        (0, True),
    ]


async def test_audit_is_done_when_all_that_changed_was_seen(database: Database) -> None:
    await placed(database, 3)

    done = []
    for _ in range(2):
        await look_once(database, Limits(rolled=0, changed=2))
        async with transaction(database) as tx:
            done.append((await readings.find(tx))["orderflow_audit_timestamp_seconds"][()] > 0)

    assert done == [False, True]


async def test_transaction_of_more_orders_than_a_look_takes_does_not_hold_it_up(
    database: Database,
) -> None:
    await put_products(database, lamp=10)
    await place(database, *(a_placement(("lamp", 1)) for _ in range(5)))

    seen = [await look_once(database, Limits(rolled=0, changed=2)) for _ in range(2)]

    assert [(one.orders, one.complete) for one in seen] == [(2, False), (0, True)]


async def transactions_since(database: Database, *, newest: int) -> int:
    """Count transactions since so many orders were left to place, those of other databases too."""
    age = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint - xmin::text::bigint"
    query = f"SELECT {age} FROM orders ORDER BY 1 LIMIT 1 OFFSET {newest - 1}"  # noqa: S608 - ours
    async with transaction(database) as tx:
        return (await tx.exec_driver_sql(query)).scalar_one()


async def test_auditor_that_was_away_for_long_says_so_and_goes_on(database: Database) -> None:
    await placed(database, 3)
    await look_once(database)
    await placed(database, 9)

    since = await transactions_since(database, newest=6)
    seen = await look_once(database, Limits(rolled=0, transactions=since))

    assert 0 < seen.orders < 9
    assert seen.missed > 0
    assert (await look_once(database)).missed == 0


async def test_progress_of_another_server_is_begun_anew(database: Database) -> None:
    await placed(database, 2)
    await look_once(database)
    async with transaction(database) as tx:
        ahead = "UPDATE audit_progress SET seen = '900000000000:900000000000:'"
        await tx.exec_driver_sql(ahead)

    assert (await look_once(database)).orders >= 2


async def test_cancelled_order_is_judged_once_its_work_is_done(
    database: Database, settings: Settings
) -> None:
    history = await a_history(database, settings)
    await cancel(database, history["paid"])
    before = await look_once(database)

    # What should have given the money back ends without having done so, and writes nothing else.
    async with transaction(database) as tx:
        ended = "UPDATE tasks SET state = 'done', finished_at = now() WHERE state = 'ready'"
        await tx.execute(text(ended))
    after = await look_once(database)

    assert before.new == []
    assert {(one.order_id, one.invariant) for one in after.new} == {
        (history["paid"], "S3 a cancelled order at rest keeps no money"),
        (history["held"], "L1 an order that is not at rest has work or a reason"),
    }


async def test_nothing_is_closed_while_more_is_broken_than_is_told(
    database: Database, tx: AsyncConnection
) -> None:
    await put_products(database, **{f"lamp-{n}": 5 for n in range(FOUND_MAX + 1)})
    await tx.exec_driver_sql("UPDATE stock SET reserved = 1")
    await look(tx)
    told = text("UPDATE stock SET reserved = 0 WHERE sku IN (SELECT subject FROM findings LIMIT 1)")
    await tx.execute(told)
    await look(tx)
    assert await opened(tx, is_open=False) == []

    await tx.exec_driver_sql("UPDATE stock SET reserved = 0")
    await look(tx)

    assert await broken(tx) == {}


async def test_of_two_looks_at_once_one_leaves_it_to_the_other(database: Database) -> None:
    await look_once(database)
    async with transaction(database) as first:
        assert await audits.look(first, CHANGED) is not None
        async with transaction(database) as second:
            assert await audits.look(second, CHANGED) is None


async def test_finding_closed_by_a_person_is_a_new_one_when_it_is_seen_again(
    database: Database,
) -> None:
    [order_id] = await placed(database, 1)
    async with transaction(database) as tx:
        await corrupt(tx, [ALTERED], {"order": order_id})
        await look(tx)
        [found] = await findings.page(tx, is_open=True, before=None, limit=10)
        await findings.close(tx, found.id, note="Seen.")

    assert (await look_once(database)).new == []
    assert [one.order_id for one in (await look_once(database, Limits())).new] == [order_id]
