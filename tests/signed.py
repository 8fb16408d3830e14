"""Webhooks as Stripe signs them (docs.stripe.com/webhooks#verify-manually)."""

import hashlib
import hmac
import time

SIGNING_KEY = "whsec_of_the_tests"


def signed(body: bytes, *secrets: str, late_s: float = 0) -> dict[str, str]:
    """Headers of a webhook: a signature for each secret, of `late_s` seconds ago."""
    at = str(int(time.time() - late_s))
    made = [
        hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        for secret in secrets
    ]
    return {"Stripe-Signature": ",".join([f"t={at}", *(f"v1={value}" for value in made)])}
