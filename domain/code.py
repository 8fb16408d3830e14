"""One-time codes: what a mail carries, derived from a kept id by a key that is not kept with it."""

import hmac
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from domain.secret import decoded, derived, encoded

_USE = "one-time code"
_ID_BYTES = 16
_PROOF_BYTES = 32


class Purpose(StrEnum):
    """What a code is good for."""

    REGISTER = "register"
    RESET = "reset"
    CHANGE_EMAIL_OLD = "change_email_old"
    CHANGE_EMAIL_NEW = "change_email_new"


# A password is reset at once or not at all (NIST 800-63B-4 §4.2.1.2 allows 24 h by mail); people
# may read their mail tomorrow who register today.
LIFETIME = {
    Purpose.REGISTER: timedelta(days=1),
    Purpose.RESET: timedelta(minutes=30),
    Purpose.CHANGE_EMAIL_OLD: timedelta(days=1),
    Purpose.CHANGE_EMAIL_NEW: timedelta(days=1),
}


def write(code_id: UUID, purpose: Purpose, key: bytes) -> str:
    """Write the code that a mail carries; always the same for the same id and key."""
    return encoded(code_id.bytes + _proof(code_id, purpose, key))


def read(code: str, purpose: Purpose, keys: Sequence[bytes]) -> UUID | None:
    """Read the id of a code that was written for this purpose with one of the keys."""
    try:
        raw = decoded(code)
    except ValueError:
        return None
    if len(raw) != _ID_BYTES + _PROOF_BYTES:
        return None
    code_id, proof = UUID(bytes=raw[:_ID_BYTES]), raw[_ID_BYTES:]
    known = any(hmac.compare_digest(proof, _proof(code_id, purpose, key)) for key in keys)
    return code_id if known else None


def _proof(code_id: UUID, purpose: Purpose, key: bytes) -> bytes:
    return derived(key, _USE, purpose.encode(), code_id.bytes)
