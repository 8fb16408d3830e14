"""How a process is connected to Postgres: the address, the link, what each session is told."""

import logging
import os
import socket
from typing import Any

import psycopg
from sqlalchemy.engine import URL, make_url

from ops.config import Settings

log = logging.getLogger(__name__)

# Every statement here looks rows up by key. Told so, the planner never scans a whole table
# because its statistics are of a time when the table was small; that cost 2.4 times the CPU.
JOINS = ("enable_hashjoin", "enable_mergejoin")
LOOKUPS_ONLY = ("enable_seqscan", *JOINS)

# A server that vanished without a word is given up in seconds; the kernel alone takes hours.
LINK = {
    "connect_timeout": 2,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def address(database_url: str) -> URL:
    """Read DATABASE_URL; raises ValueError or SQLAlchemy's ArgumentError if it is no URL.

    Some platforms still hand out `postgres://`, which libpq understands and SQLAlchemy does not.
    """
    url = make_url(database_url)
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgres" else url


def session(settings: Settings) -> str:
    """Write the options of a session: its clock, its limits, and that it looks rows up by key."""
    limits = {
        "lock_timeout": settings.lock_timeout_s,
        "statement_timeout": settings.statement_timeout_s,
        "idle_in_transaction_session_timeout": settings.idle_in_transaction_timeout_s,
    }
    given = [f"-c {limit}={round(s * 1000)}" for limit, s in limits.items()]
    off = [f"-c {plan}=off" for plan in LOOKUPS_ONLY]
    return " ".join(["-c TimeZone=UTC", *off, *given])


def cut_late(connection: psycopg.AsyncConnection[Any], timeout_s: float) -> None:
    """Cut the line of a transaction that took longer than this; what waits for it fails."""
    if not connection.closed:
        log.warning("A transaction is cut: it is not through after %g s", timeout_s)
        with socket.socket(fileno=os.dup(connection.fileno())) as link:
            link.shutdown(socket.SHUT_RDWR)
