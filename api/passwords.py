"""Passwords over HTTP: hashed with Argon2id by few threads, and checked against the commonest."""

import asyncio
import runpy
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from db.engine import Busy
from domain import password as rules

T = TypeVar("T")

# OWASP's second choice, of equal strength to its first with less memory: 19 MiB, two passes.
_MEMORY_KIB, _PASSES, _LANES = 19_456, 2, 1
_HASHER = PasswordHasher(
    time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=_LANES, type=Type.ID
)
# Whoever comes when so many wait for each thread is told to come back: a second of waiting.
_WAITING_PER_THREAD_MAX = 32


class Passwords:
    """Hashes and verifies passwords, a few at a time: each takes 19 MiB and some 30 ms.

    Raises Busy when too many wait.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._waiting = 0
        self._waiting_max = threads * _WAITING_PER_THREAD_MAX
        self._nobody = _of_nobody()

    async def hash(self, password: str) -> str:
        """Hash a password."""
        return await self._run(partial(_HASHER.hash, rules.normalized(password)))

    async def verify(self, password: str, kept: str | None) -> bool:
        """Tell whether it is the password of this hash; without one it is not, as slowly."""
        right = await self._run(
            partial(self._verify, rules.normalized(password), kept or self._nobody)
        )
        return right and kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Tell whether a hash was made with other parameters than are used now."""
        return _HASHER.check_needs_rehash(kept)

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password: str, kept: str) -> bool:
        try:
            return _HASHER.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= self._waiting_max:
            raise Busy("Too many passwords wait to be hashed.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1


@cache
def _of_nobody() -> str:
    """Hash what nobody knows, to verify for an unknown account, so that it takes as long."""
    return _HASHER.hash(secrets.token_urlsafe())


@lru_cache(maxsize=1)
def commonest() -> frozenset[str]:
    """Give the passwords that people choose most, in lower case.

    Read when first asked for, and not imported: the package keeps 20 MB of words that only its
    own estimates need.
    """
    spec = find_spec("zxcvbn")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("The list of common passwords is in zxcvbn: install it.")
    lists = runpy.run_path(str(Path(spec.submodule_search_locations[0]) / "frequency_lists.py"))
    return frozenset(lists["FREQUENCY_LISTS"]["passwords"])
