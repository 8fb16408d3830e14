"""Breakers that a person holds: what calls become, what waits, and what is told."""

import pytest
from sqlalchemy import text

from db import breakers
from db.engine import Database, transaction
from domain.payment import Outcome
from domain.task import ATTEMPTS_MAX, Kind
from ops.config import Settings
from tests.bank import Bank, bank
from tests.builders import a_placement, place, put_products
from tests.stages import a_cashier, drain_cashier, drain_inventory
from tests.waiting import eventually
from tests.workers.breakers import SUCCEEDED, UNKNOWN, World, world
from workers.announce import Announcer
from workers.breaker import Breaker, Refused
from workers.switchboard import Switchboard

__all__ = ["bank", "world"]


async def switch(database: Database, forced: str | None, gateway: str = "bank") -> None:
    async with transaction(database) as tx:
        await breakers.force(tx, gateway, forced, note="Because.", actor=None)


async def test_breaker_that_is_held_open_refuses_and_counts_nothing(world: World) -> None:
    breaker = world.breaker()

    breaker.force("open")
    [refused] = await world.run(breaker, [SUCCEEDED])
    held = breaker.is_open()
    breaker.force(None)
    [answered] = await world.run(breaker, [SUCCEEDED])

    assert isinstance(refused, Refused)
    assert refused.wait_s > 0
    assert (held, breaker.is_open(), answered, world.asked) == (True, False, SUCCEEDED, 1)
    assert world.changes == [("stripe", "closed", "open"), ("stripe", "open", "closed")]


async def test_breaker_that_is_held_closed_makes_every_call_and_is_as_it_was_after(
    world: World,
) -> None:
    breaker = await world.opened()
    asked = world.asked

    breaker.force("closed")
    outcomes: list[Outcome | Refused] = [*await world.run(breaker, [UNKNOWN] * 20)]
    breaker.force(None)

    assert outcomes == [UNKNOWN] * 20
    assert world.asked == asked + 20
    assert breaker.is_open()


@pytest.mark.parametrize("held", ["open", "closed"])
async def test_holding_it_again_tells_nothing_new(world: World, held: str) -> None:
    breaker = world.breaker()

    breaker.force(held)
    told = len(world.changes)
    breaker.force(held)

    assert len(world.changes) == told == 1


async def test_work_waits_for_a_gateway_that_is_out_of_service_and_spends_no_attempt(
    database: Database, settings: Settings, bank: Bank
) -> None:
    await put_products(database, APPLE=10)
    await place(database, a_placement(("APPLE", 1)))
    await drain_inventory(database)
    cashier = a_cashier(database, settings, bank)
    board = Switchboard(database, [till.breaker for till in cashier.tills.values()])

    await switch(database, "open")
    await board.run_once()
    await drain_cashier(cashier)
    async with transaction(database) as tx:
        query = "SELECT state, attempts_max - attempt FROM tasks WHERE kind = 'charge'"
        [waiting] = (await tx.execute(text(query))).all()
        await tx.execute(text("UPDATE tasks SET run_at = now()"))
    asked_while_held = list(bank.asked)
    await switch(database, None)
    await board.run_once()
    await drain_cashier(cashier)

    assert (tuple(waiting), asked_while_held) == (("ready", ATTEMPTS_MAX[Kind.CHARGE]), [])
    assert [verb for verb, _ in bank.asked] == ["charge"]
    async with transaction(database) as tx:
        assert await tx.scalar(text("SELECT status FROM orders")) == "paid"


async def test_change_that_a_person_wanted_is_kept_and_lasts_until_it_is_released(
    database: Database, settings: Settings
) -> None:
    announcer = Announcer(database)
    board = Switchboard(database, [Breaker("bank", settings, on_change=announcer)])

    for forced in ("open", None):
        await switch(database, forced)
        await board.run_once()
        await announcer.close()

    async with transaction(database) as tx:
        history = await breakers.history(tx, limit=10)
        assert [(one.state, one.forced) for one in history] == [("closed", False), ("open", True)]
        assert await breakers.switches(tx) == {}


async def test_board_that_is_started_asks_by_itself(database: Database, settings: Settings) -> None:
    breaker = Breaker("bank", settings, on_change=lambda *_: None)
    board = Switchboard(database, [breaker])

    board.start()
    await switch(database, "open")

    async def is_held() -> bool:
        return breaker.forced == "open"

    assert await eventually(is_held)
    await board.close()
