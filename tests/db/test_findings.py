"""A finding is open once, until it is gone or a person closes it."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from db import findings, readings
from db.engine import Database, transaction
from db.ids import new_id
from domain.finding import Finding
from domain.refusal import Conflict, NotFound


def a_finding(subject: str = "pi_1", *, kind: str = "lost", detail: str = "Not there.") -> Finding:
    return Finding(kind, subject, None, detail)


async def still_open(tx: AsyncConnection) -> list[tuple[str, str]]:
    found = await findings.page(tx, is_open=True, before=None, limit=100)
    return [(one.kind, one.subject) for one in reversed(found)]


async def test_what_is_found_again_is_the_same_finding_and_tells_how_it_is_now(
    tx: AsyncConnection,
) -> None:
    order_id = new_id()
    await findings.insert(tx, [Finding("lost", "pi_1", order_id, "5 missing.")])
    [first] = await findings.page(tx, is_open=True, before=None, limit=10)

    await findings.insert(tx, [Finding("lost", "pi_1", order_id, "7 missing.")])

    [now] = await findings.page(tx, is_open=None, before=None, limit=10)
    assert (now.id, now.opened_at, now.order_id) == (first.id, first.opened_at, order_id)
    assert now.detail == "7 missing."


async def test_same_subject_may_have_findings_of_several_kinds(tx: AsyncConnection) -> None:
    await findings.insert(tx, [a_finding(kind="lost"), a_finding(kind="changed"), a_finding()])

    assert sorted(await still_open(tx)) == [("changed", "pi_1"), ("lost", "pi_1")]


async def test_what_is_gone_is_closed_and_nothing_else(tx: AsyncConnection) -> None:
    still = a_finding(kind="changed")
    others = [a_finding("pi_2"), a_finding(kind="of an auditor")]
    await findings.insert(tx, [a_finding(), still, *others])

    await findings.close_gone(tx, ["lost", "changed"], ["pi_1"], [still])

    [closed] = await findings.page(tx, is_open=False, before=None, limit=10)
    assert (closed.kind, closed.subject, closed.note) == ("lost", "pi_1", None)
    assert len(await still_open(tx)) == 3


async def test_what_comes_back_after_it_was_closed_is_a_new_finding(tx: AsyncConnection) -> None:
    await findings.insert(tx, [a_finding()])
    [first] = await findings.page(tx, is_open=True, before=None, limit=10)
    await findings.close(tx, first.id, note="Mended.")

    await findings.insert(tx, [a_finding()])

    [newest, oldest] = await findings.page(tx, is_open=None, before=None, limit=10)
    assert (newest.closed_at, oldest.id, oldest.note) == (None, first.id, "Mended.")


async def test_what_closed_by_itself_is_not_closed_again_with_a_note(tx: AsyncConnection) -> None:
    await findings.insert(tx, [a_finding()])
    [first] = await findings.page(tx, is_open=True, before=None, limit=10)
    await findings.close_gone(tx, ["lost"], ["pi_1"], [])

    with pytest.raises(Conflict):
        await findings.close(tx, first.id, note="Mended.")


async def test_what_is_not_there_cannot_be_closed(tx: AsyncConnection) -> None:
    with pytest.raises(NotFound):
        await findings.close(tx, 1, note="Mended.")


async def test_two_who_find_the_same_in_another_order_open_it_once(database: Database) -> None:
    found = [a_finding(f"pi_{n}") for n in range(50)]

    async def open_all(these: list[Finding]) -> None:
        async with transaction(database) as tx:
            await findings.insert(tx, these)

    await asyncio.gather(open_all(found), open_all(found[::-1]), open_all(found))

    async with transaction(database) as tx:
        assert len(await still_open(tx)) == 50


async def test_open_findings_are_counted_by_kind(tx: AsyncConnection) -> None:
    await findings.insert(tx, [a_finding(), a_finding("pi_2"), a_finding(kind="changed")])
    await findings.close_gone(tx, ["lost"], ["pi_2"], [])

    assert (await readings.find(tx))["orderflow_findings"] == {("lost",): 1, ("changed",): 1}
