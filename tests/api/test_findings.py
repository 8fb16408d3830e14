"""Findings: what staff sees of them, and how they are closed."""

from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from api.pages import NUMBER_MAX, encode
from db import audits, findings
from db.audits import Limits
from db.engine import Database, transaction
from db.ids import new_id
from domain.finding import Finding
from tests.builders import put_products
from tests.waiting import eventually
from tests.web import assert_problem

ORDER = new_id()


@pytest.fixture
async def opened(database: Database) -> list[str]:
    """Subjects of three findings, newest first."""
    for subject in ("first", "second", "third"):
        async with transaction(database) as tx:
            await findings.insert(tx, [Finding("currency_differs", subject, ORDER, "As found.")])
    return ["third", "second", "first"]


async def listed(
    client: httpx.AsyncClient, staff: dict[str, str], query: str = ""
) -> Sequence[dict[str, Any]]:
    answer = await client.get(f"/v1/findings{query}", headers=staff)
    assert answer.status_code == 200, answer.text
    return answer.json()["findings"]


async def close(
    client: httpx.AsyncClient, staff: dict[str, str], finding_id: int, note: Any = "Paid by hand."
) -> httpx.Response:
    path = f"/v1/findings/{finding_id}/close"
    return await client.post(path, json={"note": note}, headers=staff)


async def test_a_list_shows_whole_findings_newest_first(
    client: httpx.AsyncClient, staff: dict[str, str], opened: list[str]
) -> None:
    found = await listed(client, staff)

    assert [one["subject"] for one in found] == opened
    newest = dict(found[0])
    assert isinstance(newest.pop("id"), int)
    assert newest.pop("opened_at").endswith("Z")
    assert newest == {
        "kind": "currency_differs",
        "subject": "third",
        "order_id": str(ORDER),
        "detail": "As found.",
        "closed_at": None,
        "note": None,
    }


async def test_pages_show_every_finding_once(
    client: httpx.AsyncClient, staff: dict[str, str], opened: list[str]
) -> None:
    first = await client.get("/v1/findings?limit=2&open=true", headers=staff)
    second = await client.get(first.links["next"]["url"], headers=staff)

    assert "open=true" in first.links["next"]["url"]
    shown = [one["subject"] for answer in (first, second) for one in answer.json()["findings"]]
    assert shown == opened
    assert "link" not in second.headers


async def test_a_finding_that_is_closed_keeps_its_note_and_leaves_the_open_ones(
    client: httpx.AsyncClient, staff: dict[str, str], opened: list[str]
) -> None:
    newest = (await listed(client, staff))[0]

    closed = await close(client, staff, newest["id"])

    assert closed.status_code == 200
    assert closed.json()["note"] == "Paid by hand."
    assert closed.json()["closed_at"] is not None
    assert await listed(client, staff, "?open=false") == [closed.json()]
    assert [one["subject"] for one in await listed(client, staff, "?open=true")] == opened[1:]


@pytest.mark.usefixtures("opened")
async def test_a_finding_is_closed_once_and_the_same_again_changes_nothing(
    client: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    newest = (await listed(client, staff))[0]
    closed = await close(client, staff, newest["id"])

    again = await close(client, staff, newest["id"])
    otherwise = await close(client, staff, newest["id"], "Something else.")

    assert again.json() == closed.json()
    assert_problem(otherwise, 409, "conflict")
    assert await listed(client, staff, "?open=false") == [closed.json()]


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("note", ["", "   ", "x" * 1001, None, 1])
async def test_a_note_says_something(
    client: httpx.AsyncClient, staff: dict[str, str], note: Any
) -> None:
    newest = (await listed(client, staff))[0]

    assert_problem(await close(client, staff, newest["id"], note), 400, "invalid_request", "note")
    assert await listed(client, staff, "?open=false") == []


@pytest.mark.parametrize("finding_id", [1, NUMBER_MAX])
async def test_a_finding_that_is_not_there_is_not_found(
    client: httpx.AsyncClient, staff: dict[str, str], finding_id: int
) -> None:
    assert_problem(await close(client, staff, finding_id), 404, "not_found")


@pytest.mark.parametrize("finding_id", [0, NUMBER_MAX + 1])
async def test_a_number_beyond_those_of_findings_is_refused(
    client: httpx.AsyncClient, staff: dict[str, str], finding_id: int
) -> None:
    assert_problem(await close(client, staff, finding_id), 400, "invalid_request", "finding_id")


async def test_a_cursor_of_another_list_is_refused(
    client: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    answer = await client.get(f"/v1/findings?cursor={encode(new_id())}", headers=staff)

    assert_problem(answer, 400, "invalid_cursor", "cursor")


async def test_what_the_auditor_finds_is_listed_and_counted_until_it_is_mended(
    client: httpx.AsyncClient, staff: dict[str, str], database: Database
) -> None:
    await put_products(database, lamp=5)

    async def audited(reserved: int) -> list[str]:
        async with transaction(database) as tx:
            await tx.execute(text("UPDATE stock SET reserved = :now"), {"now": reserved})
            await audits.look(tx, Limits())
        return [one["subject"] for one in await listed(client, staff, "?open=true")]

    async def scraped(line: str) -> str | None:
        text = (await client.get("/metrics")).text
        return text if line in text else None

    gauge = 'orderflow_invariant_violations{invariant="S1 reserved stock is what orders hold"}'
    assert await audited(1) == ["lamp"]
    # What is read of the system is kept for a moment.
    _ = await eventually(lambda: scraped(f"{gauge} 1.0"))

    assert await audited(0) == []
    green = await eventually(lambda: scraped(f"{gauge} 0.0"))
    assert "orderflow_audit_timestamp_seconds 1." in str(green)
