"""Keys as settings give them, and what is derived from them for one use each."""

import base64
import hmac

KEY_BYTES = 32


class KeyMalformed(ValueError):
    """A key is not 32 bytes in base64url."""


def keys(setting: str) -> tuple[bytes, ...]:
    """Read keys with commas between; raises KeyMalformed, which shows none of them."""
    return tuple(_key(text.strip()) for text in setting.split(",") if text.strip())


def _key(text: str) -> bytes:
    try:
        key = decoded(text)
    except ValueError as error:
        raise KeyMalformed("is not base64url") from error
    if len(key) != KEY_BYTES:
        raise KeyMalformed(f"has {len(key)} bytes where {KEY_BYTES} are needed")
    return key


def derived(key: bytes, use: str, *parts: bytes) -> bytes:
    """Derive 32 bytes for one use; a key of 32 random bytes needs no more than HMAC-SHA-256.

    Each part is told apart by its length, so that no two lists of parts are the same bytes.
    """
    texts = (use.encode(), *parts)
    message = b"".join(len(part).to_bytes(4, "big") + part for part in texts)
    return hmac.digest(key, message, "sha256")


def encoded(raw: bytes) -> str:
    """Write bytes in base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decoded(text: str) -> bytes:
    """Read base64url without padding; raises ValueError unless it is what `encoded` writes.

    Unused bits at the end would let several texts mean the same.
    """
    raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if encoded(raw) != text:
        raise ValueError("It is not base64url.")
    return raw
