"""What a commit sets off is set off by a commit alone, and once it can be seen."""

import msgspec
import psycopg
import pytest
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import (
    Database,
    Unavailable,
    count_after_commit,
    ring_after_commit,
    run,
    transaction,
)
from domain.status import Status
from domain.task import Queue
from tests.db.backends import Admin, backend, in_transaction, kill


async def test_rings_come_once_what_they_tell_of_can_be_seen(
    database: Database, database_url: str
) -> None:
    seen: list[tuple[frozenset[Queue], int]] = []

    def ring(queues: frozenset[Queue]) -> None:
        with psycopg.connect(database_url) as other:
            found = other.execute("SELECT FROM cron_runs WHERE job = 'ringing'")
            seen.append((queues, found.rowcount))

    ringing = msgspec.structs.replace(database, ring=ring)
    async with transaction(ringing) as tx:
        await run(tx, "INSERT INTO cron_runs (job, slot) VALUES ('ringing', now())", {})
        ring_after_commit(tx, Queue.PAYMENTS)
        ring_after_commit(tx, Queue.INVENTORY)
        ring_after_commit(tx, Queue.PAYMENTS)
        assert seen == []

    assert seen == [(frozenset({Queue.PAYMENTS, Queue.INVENTORY}), 1)]


def _counted() -> float:
    return REGISTRY.get_sample_value("orderflow_order_moves_total", {"to": "review"}) or 0.0


async def _announce(tx: AsyncConnection) -> None:
    ring_after_commit(tx, Queue.PAYMENTS)
    count_after_commit(tx, [(Status.REVIEW, 1.0), (Status.REVIEW, 2.0)])


async def _announce_and_fail(tx: AsyncConnection) -> None:
    await _announce(tx)
    raise RuntimeError


async def test_commit_counts_the_moves(database: Database) -> None:
    before = _counted()

    async with transaction(database) as tx:
        await _announce(tx)
        assert _counted() == before

    assert _counted() == before + 2


async def test_rolled_back_transaction_neither_rings_nor_counts(
    database: Database, rung: list[frozenset[Queue]]
) -> None:
    before = _counted()

    with pytest.raises(RuntimeError):
        await in_transaction(database, _announce_and_fail)

    assert (rung, _counted()) == ([], before)


async def test_commit_that_fails_neither_rings_nor_counts(
    database: Database, admin: Admin, rung: list[frozenset[Queue]]
) -> None:
    before = _counted()

    async def announce_and_die(tx: AsyncConnection) -> None:
        await _announce(tx)
        await kill(admin, await backend(tx))

    with pytest.raises(Unavailable):
        await in_transaction(database, announce_and_die)

    assert (rung, _counted()) == ([], before)


async def test_nothing_of_a_failed_transaction_is_left_to_the_next_on_its_connection(
    database: Database, rung: list[frozenset[Queue]]
) -> None:
    before = _counted()
    with pytest.raises(RuntimeError):
        await in_transaction(database, _announce_and_fail)

    await in_transaction(database, backend)

    assert (rung, _counted()) == ([], before)
