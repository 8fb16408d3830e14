"""The signature of Stripe's webhooks (docs.stripe.com/webhooks#verify-manually)."""

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import ClassVar

from domain.refusal import Refusal

HEADER = "Stripe-Signature"

# What Stripe's own libraries take; a clock that is ahead is as wrong as one that is behind.
TOLERANCE_S = 300

_SIGNED = re.compile(r"t=([0-9]{1,12})((?:,[A-Za-z0-9]{1,10}=[0-9A-Fa-f]{1,128}){1,10})")


class SignatureInvalid(Refusal):
    """Nobody who knows the secret has signed this, or not just now."""

    code: ClassVar[str] = "signature_invalid"


def verify(body: bytes, header: str | None, *, secrets: Sequence[str], now_s: float) -> None:
    """Check the raw bytes of a webhook against any of the secrets.

    Raises SignatureInvalid; what is wrong with a signature is told to nobody who has none.
    """
    signed = _SIGNED.fullmatch(header or "")
    if signed is None:
        raise SignatureInvalid("Missing, or not of the form t=...,v1=....", field=HEADER)
    at, schemes = signed.groups()
    given = [value for name, _, value in _pairs(schemes) if name == "v1"]
    wanted = [_sign(secret, at, body) for secret in secrets]
    # Every pair is compared, so that the time it takes tells nothing.
    right = [hmac.compare_digest(one, other) for one in wanted for other in given]
    if not any(right):
        raise SignatureInvalid("It was not made with the secret of this endpoint.", field=HEADER)
    if abs(now_s - int(at)) > TOLERANCE_S:
        raise SignatureInvalid(
            f"It is more than {TOLERANCE_S} s from the time here: check both clocks.", field=HEADER
        )


def _pairs(schemes: str) -> list[tuple[str, str, str]]:
    return [scheme.partition("=") for scheme in schemes.strip(",").split(",")]


def _sign(secret: str, at: str, body: bytes) -> str:
    return hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
