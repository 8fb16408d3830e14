"""Reconciles on demand: `python -m workers.reconcile --since 2026-11-20T00:00:00Z`."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from db.engine import Busy, Database, Unavailable, connect, name_commit, transaction
from domain.payment import Gateway, Unknown, Unsent
from domain.reconciliation import Portion
from ops.config import Settings, settings
from ops.telemetry import faultpoint, logs
from ops.telemetry.faultpoint import Commit
from workers.gateways.accounts import gateways
from workers.reconciliation import Seen, ask, failure, read, write

NOTHING_DIFFERS, DIFFERS, FAILED = 0, 1, 2

log = logging.getLogger(__name__)

# Nobody is told to start everything: most often it runs, under settings that a shell lacks.
NO_DATABASE = (
    "DATABASE_URL is empty: give this command the settings of the worker's environment."
    " README.md says which those of `make up` are.\n"
)


class Failed(Exception):
    """It cannot be done, or not to the end; the message says why and what to do."""


class Totals(msgspec.Struct):
    """What the last line says."""

    payments: int = 0
    findings: int = 0


async def reconcile(
    database: Database, config: Settings, gateway: Gateway, since: datetime, until: datetime
) -> Totals:
    """Reconcile a period with one gateway, and print what differs; raises Failed."""
    totals = Totals()
    rest: Portion | None = Portion(gateway.name, since, until)
    told: set[tuple[str, str]] = set()
    while rest:
        seen = await _portion(database, config, gateway, rest)
        totals.payments += seen.payments
        # A payment may come up twice: in the gateway's books, and as one that changed here.
        new = {(one.kind, one.subject): one for one in seen.findings}
        totals.findings += len(new.keys() - told)
        for one in (found for key, found in new.items() if key not in told):
            sys.stdout.write(f"{one.kind} {one.subject} {one.detail}\n")
        told |= new.keys()
        sys.stderr.write(f"{gateway.name}: {totals.payments} payments, {totals.findings} differ\n")
        rest = seen.rest
    return totals


async def _portion(
    database: Database, config: Settings, gateway: Gateway, portion: Portion
) -> Seen:
    async with transaction(database) as tx:
        reading = await read(tx, portion, config)
    answer = await ask(gateway, reading, timeout_s=config.task_timeout_s)
    if why := failure(answer):
        raise Failed(f"{gateway.name} cannot be read to the end: {why} Run it again later.")
    if isinstance(answer, Unsent | Unknown):
        raise Failed(f"{gateway.name} gave no answer. Run it again later.")
    async with transaction(database) as tx:
        name_commit(tx, Commit.RECONCILE_COMMAND)
        return await write(tx, reading, answer, is_last=True)


async def run(
    database: Database, config: Settings, made: Sequence[Gateway], given: argparse.Namespace
) -> int:
    """Reconcile with the gateways asked for, one after the other; returns the exit code."""
    totals = Totals()
    try:
        for gateway in _chosen(made, given.gateway):
            part = await reconcile(database, config, gateway, given.since, given.until)
            totals.payments += part.payments
            totals.findings += part.findings
    except (Failed, Unavailable, Busy) as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    except Exception:
        # Python itself would end with 1, which says that something differs.
        log.exception("Reconciling failed")
        return FAILED
    finally:
        await database.engine.dispose()
        for gateway in made:
            await gateway.close()
    sys.stdout.write(msgspec.json.encode(totals).decode() + "\n")
    return DIFFERS if totals.findings else NOTHING_DIFFERS


def _chosen(made: Sequence[Gateway], name: str | None) -> Sequence[Gateway]:
    chosen = [gateway for gateway in made if name in {None, gateway.name}]
    if not chosen:
        known = ", ".join(gateway.name for gateway in made)
        raise Failed(f"There is no gateway {name!r}: PAYMENT_GATEWAYS has {known}.")
    return chosen


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; ends the process with 2 and a sentence if it is not understood."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.reconcile",
        description="Compare the payments that a gateway booked in a period with our books."
        " Each difference is printed and opened as a finding; those that are gone are closed."
        " Exit code: 0 nothing differs, 1 something does, 2 it could not be done.",
    )
    parser.add_argument("--since", type=_moment, required=True, help="e.g. 2026-11-20T00:00:00Z")
    parser.add_argument("--until", type=_moment, help="the same form; now, if not given")
    parser.add_argument("--gateway", help="one name of PAYMENT_GATEWAYS; all, if not given")
    parsed = parser.parse_args(given)
    now = datetime.now(UTC)
    parsed.until = min(parsed.until or now, now)
    if parsed.since >= parsed.until:
        parser.error("--since must lie before --until and before now.")
    return parsed


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no moment with its offset, e.g. 2026-11-20T00:00:00Z."
        )
    return at.astimezone(UTC)


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line asks for."""
    given = arguments(argv)
    try:
        config = settings()
        faultpoint.arm(config.faultpoint)
        if not config.database_url:
            sys.stderr.write(NO_DATABASE)
            return FAILED
        made = gateways(config)
        # The clock rings for what is to be looked up, within a second.
        database = connect(config, name="orderflow reconcile", ring=lambda _: None)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    logs.configure("reconcile", config.log_level, form=config.log_format)
    return asyncio.run(run(database, config, made, given))


if __name__ == "__main__":
    raise SystemExit(main())
