"""The Idempotency-Key contract (IETF draft-ietf-httpapi-idempotency-key-header, and Stripe's)."""

import hashlib
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar

import msgspec
from litestar import Request
from litestar.params import HeaderParameter

from api.problems import IdempotencyKeyInvalid, IdempotencyKeyMissing
from domain.refusal import Refusal

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_ABOUT = "1 to 255 printable ASCII characters: fresh for each order, the same for its retries."


class IdempotencyInProgress(Refusal):
    """The first request with this key is still under way."""

    code: ClassVar[str] = "idempotency_in_progress"


async def provide_key(
    request: Request[Any, Any, Any],
    idempotency_key: Annotated[
        str | None, HeaderParameter(name="Idempotency-Key", required=True, description=_ABOUT)
    ] = None,
) -> str:
    """Check the Idempotency-Key; raises IdempotencyKeyMissing or IdempotencyKeyInvalid."""
    if idempotency_key is None:
        raise IdempotencyKeyMissing(
            "Missing: send a fresh key for each order, and the same one for its retries.",
            field="Idempotency-Key",
        )
    given_once = len(request.headers.getall("Idempotency-Key")) == 1
    if not given_once or not _KEY.fullmatch(idempotency_key):
        raise IdempotencyKeyInvalid(
            "Send it once, as 1 to 255 printable ASCII characters without spaces, e.g. a UUID.",
            field="Idempotency-Key",
        )
    return idempotency_key


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
