"""Redis as the user names it: an address that is none ends the start, one that is down does not."""

from collections.abc import Mapping

import redis.exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ops.local.child import ORDERFLOW, Say
from ops.local.state import CannotStart

_SCHEMES = ("redis://", "rediss://", "unix://")
_TIMEOUT_S = 2.0


async def check(environ: Mapping[str, str], say: Say) -> None:
    """Warn of a Redis that cannot be used now.

    Raises CannotStart for a URL of something else; a password is never shown.
    """
    for name in ("REDIS_URL", "BROKER_URL"):
        if (url := environ.get(name, "")) and (reason := await _trouble(name, url)):
            say(
                ORDERFLOW,
                f"Warning: {name} cannot be used now ({reason}): start that Redis, correct {name}, "
                "or unset it. Without it workers look for work once a second.",
            )


async def _trouble(name: str, url: str) -> str | None:
    scheme, separator, _ = url.partition("://")
    if not url.startswith(_SCHEMES):
        given = f"begins with {scheme}://" if separator else "is not a URL"
        raise CannotStart(f"{name} {given}: it must be redis://, rediss:// or unix://.")
    try:
        return await _ping(url)
    except (ValueError, TypeError):
        # The reason may quote a piece of the password.
        raise CannotStart(
            f"{name} is not a URL of Redis: write redis://:secret@host:6379/0, with %2F for `/` in "
            "the secret, and with no option that redis-py does not know."
        ) from None


async def _ping(url: str) -> str | None:
    client = Redis.from_url(  # pyright: ignore[reportUnknownMemberType] - untyped there
        url,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        await client.ping()  # pyright: ignore[reportUnknownMemberType] - untyped there
    except (redis.exceptions.RedisError, OSError) as error:
        return str(error).rstrip(".")
    finally:
        await client.aclose()
    return None
