"""The Idempotency-Key contract (IETF draft-ietf-httpapi-idempotency-key-header, and Stripe's)."""

import hashlib
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import ClassVar

import msgspec

from api.problems import IdempotencyKeyInvalid, IdempotencyKeyMissing
from domain.refusal import Refusal

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class IdempotencyInProgress(Refusal):
    """The first request with this key is still under way."""

    code: ClassVar[str] = "idempotency_in_progress"


def key_of(header: str | None) -> str:
    """Check an Idempotency-Key header; raises IdempotencyKeyMissing or IdempotencyKeyInvalid."""
    if header is None:
        raise IdempotencyKeyMissing(
            "Send an Idempotency-Key header: a fresh key per order, the same one for its retries.",
            field="Idempotency-Key",
        )
    if not _KEY.fullmatch(header):
        raise IdempotencyKeyInvalid(
            "Idempotency-Key: 1 to 255 printable ASCII characters without spaces, e.g. a UUID.",
            field="Idempotency-Key",
        )
    return header


def fingerprint(operation: str, content: object) -> bytes:
    """Tell requests apart by what they ask for, not by how their JSON is written."""
    return hashlib.sha256(operation.encode() + b"\n" + msgspec.json.encode(content)).digest()


class InFlight:
    """The keys that this process is just working for."""

    def __init__(self) -> None:
        self._keys: set[tuple[str, str]] = set()

    @contextmanager
    def hold(self, scope: str, key: str) -> Generator[None]:
        """Hold a key; raises IdempotencyInProgress if another request holds it."""
        if (scope, key) in self._keys:
            raise IdempotencyInProgress(
                "The first request with this Idempotency-Key is still under way: repeat it later.",
                field="Idempotency-Key",
            )
        self._keys.add((scope, key))
        try:
            yield
        finally:
            self._keys.discard((scope, key))
