"""Access tokens: short-lived, signed with EdDSA, and believed in nothing that is not checked."""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from api.problems import Unauthenticated
from domain.secret import decoded, encoded

ALGORITHM = "EdDSA"
# RFC 9068: no other kind of token of ours can pass for one.
TYPE = "at+jwt"
ISSUER = "orderflow"
AUDIENCE = "orderflow api"
# Between the clocks of web processes.
LEEWAY_S = 30
# None of ours was ever good for longer (ACCESS_TOKEN_S).
_LIFETIME_MAX_S = 3600
# One of ours has some 450 characters.
_TOKEN_CHARS_MAX = 2000
# Who asks again shows the same token; verifying a signature takes 0.1 ms.
_REMEMBERED_MAX = 8192
_KID_BYTES = 12
_REFUSED = "The token is not valid, or not any more: get a new one."


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a token says; every claim must be there, and nothing else."""

    iss: str
    aud: str
    sub: UUID
    sid: UUID
    ver: int
    iat: int
    exp: int
    jti: str


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A header that says more, e.g. where to fetch a key, is refused."""

    alg: str
    typ: str
    kid: str


class Tokens:
    """Issues and verifies tokens with the keys of the deployment: the first signs, all verify."""

    def __init__(self, keys: Sequence[bytes], *, lifetime_s: int) -> None:
        """Take the seeds of Ed25519 keys; without any nobody can log in."""
        signers = [Ed25519PrivateKey.from_private_bytes(key) for key in keys]
        self.lifetime_s = lifetime_s
        self._signer = signers[0] if signers else None
        self._verifiers: Mapping[str, Ed25519PublicKey] = {
            _kid(signer.public_key()): signer.public_key() for signer in signers
        }
        self._claims = lru_cache(_REMEMBERED_MAX)(self._authentic)

    @property
    def can_issue(self) -> bool:
        """Tell whether there is a key to sign with."""
        return self._signer is not None

    def issue(self, user_id: UUID, session_id: UUID, *, version: int, now_s: int) -> str:
        """Sign a token; `version` is that of the account's tokens."""
        if self._signer is None:
            raise ValueError("TOKEN_KEYS is empty: nothing can be signed.")
        claims = Claims(
            iss=ISSUER,
            aud=AUDIENCE,
            sub=user_id,
            sid=session_id,
            ver=version,
            iat=now_s,
            exp=now_s + self.lifetime_s,
            jti=secrets.token_urlsafe(12),
        )
        headers = {"typ": TYPE, "kid": _kid(self._signer.public_key())}
        payload: dict[str, Any] = msgspec.to_builtins(claims)
        return jwt.encode(payload, self._signer, algorithm=ALGORITHM, headers=headers)

    def verify(self, token: str, *, now_s: int) -> Claims:
        """Read a token; raises Unauthenticated, and never says what is wrong with it.

        Whether account and session still stand is in the database only.
        """
        if len(token) > _TOKEN_CHARS_MAX:
            raise Unauthenticated(_REFUSED)
        claims = self._claims(token)
        if claims.iat > now_s + LEEWAY_S or claims.exp <= now_s:
            raise Unauthenticated(_REFUSED)
        return claims

    def _authentic(self, token: str) -> Claims:
        """Check everything that stays as it is: form, signature, issuer and audience."""
        try:
            header, _, _ = (decoded(part) for part in token.split("."))
            said = _strictly(header, _Header)
            if said.alg != ALGORITHM or said.typ != TYPE:
                raise Unauthenticated(_REFUSED)
            key = self._verifiers[said.kid]
            payload = jwt.PyJWS().decode(token, key, algorithms=[ALGORITHM])
            claims = _strictly(payload, Claims)
        except (ValueError, KeyError, RecursionError, jwt.PyJWTError) as error:
            raise Unauthenticated(_REFUSED) from error
        if claims.iss != ISSUER or claims.aud != AUDIENCE:
            raise Unauthenticated(_REFUSED)
        if not 0 < claims.exp - claims.iat <= _LIFETIME_MAX_S:
            raise Unauthenticated(_REFUSED)
        return claims


def _kid(key: Ed25519PublicKey) -> str:
    return encoded(hashlib.sha256(key.public_bytes_raw()).digest()[:_KID_BYTES])


def _strictly(raw: bytes, wanted: type[Any]) -> Any:  # noqa: ANN401 - the struct that is wanted
    """Decode JSON to a struct; raises ValueError, for a name given twice and for 1.0, too."""
    read = msgspec.json.decode(raw, type=wanted)
    if len(json.loads(raw, object_pairs_hook=list, parse_float=_refuse)) != len(
        wanted.__struct_fields__
    ):
        raise ValueError("A name is given twice.")
    return read


def _refuse(number: str) -> float:
    raise ValueError(f"{number} is no whole number.")
