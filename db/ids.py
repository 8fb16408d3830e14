"""Ids: UUIDs of version 7, made here so that every supported Postgres will do."""

import os
import time
from uuid import UUID


def new_id() -> UUID:
    """Make a UUIDv7 (RFC 9562 §5.7): 48 bits of milliseconds, then randomness."""
    ms = time.time_ns() // 1_000_000
    noise = int.from_bytes(os.urandom(10), "big")
    high, low = noise >> 68, noise & ((1 << 62) - 1)
    return UUID(int=ms << 80 | 7 << 76 | high << 64 | 2 << 62 | low)
