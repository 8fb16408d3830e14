"""Ids: UUIDs of version 7, made here so that every supported Postgres will do."""

import os
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

MS_BITS = 48
EPOCH = datetime.fromtimestamp(0, UTC)


def new_id() -> UUID:
    """Make a UUIDv7 (RFC 9562 §5.7): 48 bits of milliseconds, then randomness."""
    ms = time.time_ns() // 1_000_000
    noise = int.from_bytes(os.urandom(10), "big")
    high, low = noise >> 68, noise & ((1 << 62) - 1)
    return UUID(int=ms << 80 | 7 << 76 | high << 64 | 2 << 62 | low)


def first_id(at: datetime, *, apart: timedelta) -> UUID:
    """Give the least id that can be made at `at` and `apart`; without a zone, `at` is in UTC."""
    since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - EPOCH + apart
    ms = since // timedelta(milliseconds=1)
    return UUID(int=min(max(ms, 0), (1 << MS_BITS) - 1) << 80)
