"""Rings as they wait in Valkey."""

import asyncio
from typing import cast

import redis.asyncio

from domain.task import Queue

Valkey = redis.asyncio.Redis


async def rings(valkey: Valkey, queue: Queue) -> int:
    """Count the rings that wait for a worker of `queue`."""
    return await cast("asyncio.Future[int]", valkey.llen(f"dramatiq:{queue.value}"))
