"""Claim tokens: what opens an order to whoever placed it without an account.

One follows from the order's id and a key of ours. So nothing is stored that could leak, and whoever
places the order again with the same Idempotency-Key has it again.
"""

import hmac
import re
from collections.abc import Sequence
from uuid import UUID

from domain.secret import derived

# It comes in this header of the acceptance, and so is no part of what is stored with the key.
HEADER = "Order-Claim-Token"

# Scanners for leaked secrets find ours by this beginning.
_BEGINS = "of_claim_"
_USE = "claim token"
_FORM = re.compile(rf"{_BEGINS}([0-9a-f]{{32}})_([0-9a-f]{{64}})")


def write(order_id: UUID, key: bytes) -> str:
    """Write the token of an order; always the same for the same key."""
    return f"{_BEGINS}{order_id.hex}_{_proof(order_id, key)}"


def is_like(text: str) -> bool:
    """Tell whether a text means to be a claim token."""
    return text.startswith(_BEGINS)


def read(token: str, keys: Sequence[bytes]) -> UUID | None:
    """Read which order a token opens; None unless it was written with one of the keys."""
    if (parts := _FORM.fullmatch(token)) is None:
        return None
    order_id = UUID(hex=parts[1])
    known = any(hmac.compare_digest(parts[2], _proof(order_id, key)) for key in keys)
    return order_id if known else None


def _proof(order_id: UUID, key: bytes) -> str:
    return derived(key, _USE, order_id.bytes).hex()
