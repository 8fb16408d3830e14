"""The cookie of the dashboard: a session that browsers send by themselves, and its CSRF token.

The cookie opens pages. An operation of the API it opens only together with the token, which no
other site can read, and for requests that come from our own pages: alone it is no credential.
"""

import hmac
from collections.abc import Sequence
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from litestar.types import HTTPScope

from domain.secret import derived

CSRF_HEADER = "X-CSRF-Token"
# Browsers keep the first one for the host itself, over TLS, and for all of its paths (RFC 6265bis);
# Safari and Firefox keep no Secure cookie that came over plain HTTP, not even from this machine.
_OVER_TLS, _PLAIN = "__Host-orderflow", "orderflow"
_SESSION, _CSRF = "dashboard session", "dashboard csrf"
_COOKIE_CHARS_MAX = 4096
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_ATTRIBUTES = "Path=/; HttpOnly; SameSite=Strict"


class Shown(msgspec.Struct, frozen=True):
    """The session and its owner that a cookie is of."""

    user_id: UUID
    session_id: UUID


class Cookies:
    """Writes and reads cookies with the keys of the deployment: the first writes, all read."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys

    def write(self, shown: Shown, scope: HTTPScope) -> str:
        """Write the header that gives a session to a browser, until it is closed."""
        value = f"{shown.user_id.hex}.{shown.session_id.hex}.{_proof(self._keys[0], shown)}"
        return _header(scope, value)

    def read(self, scope: HTTPScope) -> Shown | None:
        """Read the session of a request; None unless it has one such cookie, which is ours."""
        text = "; ".join(
            value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"
        )
        pairs = (pair.strip().partition("=") for pair in text[:_COOKIE_CHARS_MAX].split(";"))
        given = [value for name, _, value in pairs if name == _name(scope)]
        return self._read(given[0]) if len(given) == 1 else None

    def _read(self, value: str) -> Shown | None:
        user, _, rest = value.partition(".")
        session, _, proof = rest.partition(".")
        try:
            shown = Shown(UUID(hex=user), UUID(hex=session))
        except ValueError:
            return None
        known = any(_same(proof, _proof(key, shown)) for key in self._keys)
        return shown if known else None

    def csrf_token(self, session_id: UUID) -> str:
        """Give the token of a session, which its pages carry."""
        return derived(self._keys[0], _CSRF, session_id.bytes).hex()

    def is_ours(self, token: str, session_id: UUID) -> bool:
        """Tell whether a token is that of the session."""
        return any(_same(token, derived(key, _CSRF, session_id.bytes).hex()) for key in self._keys)


def clear(scope: HTTPScope) -> str:
    """Write the header that takes the cookie back."""
    return f"{_header(scope, '')}; Max-Age=0"


def is_from_here(scope: HTTPScope) -> bool:
    """Tell whether one of our own pages sent a request, as far as its browser says.

    A browser that says nothing is believed for what changes nothing only.
    """
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    if (site := headers.get(b"sec-fetch-site")) is not None:
        return site == "same-origin"
    if (origin := headers.get(b"origin")) is not None:
        return _is_here(origin, headers.get(b"host", ""), scope["scheme"])
    return scope["method"] in _SAFE


def _is_here(origin: str, host: str, scheme: str) -> bool:
    try:
        named = urlsplit(origin)
    except ValueError:
        return False
    # Behind a proxy that is not trusted we do not know that it speaks TLS.
    return named.netloc == host and (scheme != "https" or named.scheme == scheme)


def _name(scope: HTTPScope) -> str:
    return _OVER_TLS if scope["scheme"] == "https" else _PLAIN


def _header(scope: HTTPScope, value: str) -> str:
    secure = "; Secure" if scope["scheme"] == "https" else ""
    return f"{_name(scope)}={value}; {_ATTRIBUTES}{secure}"


def _proof(key: bytes, shown: Shown) -> str:
    return derived(key, _SESSION, shown.user_id.bytes, shown.session_id.bytes).hex()


def _same(given: str, right: str) -> bool:
    # Of text that is not ASCII the comparison raises.
    return given.isascii() and hmac.compare_digest(given, right)


def header_of(scope: HTTPScope, name: str) -> str:
    """Read a header that is sent once; empty if it is not there, or several times."""
    wanted = name.lower().encode()
    given = [value for header, value in scope["headers"] if header == wanted]
    return given[0].decode("latin-1") if len(given) == 1 else ""
