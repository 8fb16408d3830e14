"""Redis for what can be done without it: an answer comes at once, or none is waited for."""

# redis-py is typed in part only.
# pyright: reportUnknownMemberType=false

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff


def connect(url: str, *, within_s: float) -> "redis.asyncio.Redis | None":
    """Make a client that waits so long and tries nothing again; None if there is no Redis.

    It connects with its first command, which may raise redis.RedisError or OSError.
    """
    if not url:
        return None
    return redis.asyncio.Redis.from_url(
        url,
        socket_timeout=within_s,
        socket_connect_timeout=within_s,
        retry=Retry(NoBackoff(), 0),
    )
