"""Headers of every answer that tell browsers to trust it no further than they must."""

from api.answers import Header

# Answers are data for one reader: kept by nobody, framed by nobody, sniffed by nobody, and
# neither they nor their windows are shared with other sites. The page of the documentation
# sets a policy of its own.
DEFAULTS: tuple[Header, ...] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-embedder-policy", b"require-corp"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
# Two years, as browsers' lists of such hosts want it. Only an answer over TLS may say so.
OVER_TLS: tuple[Header, ...] = (
    *DEFAULTS,
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),
)
