"""What accounts are opened with: keys of the deployment, and all that is made of them."""

import os
import time
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from api.passwords import Passwords
from api.tokens import Tokens
from db.sessions import Granted, Lifetimes
from domain import code
from domain.account import AccountsClosed, CodeRefused
from domain.code import Purpose
from domain.secret import KeyMalformed, derived, keys
from ops.config import SettingInvalid, Settings

_NONCE_BYTES = 12
_SEAL = "totp secret"


class Keyring:
    """The keys of one web process; without any of them nobody registers or logs in."""

    def __init__(self, settings: Settings) -> None:
        """Read the keys; raises SettingInvalid that names the setting and shows no key."""
        self.tokens = Tokens(
            _read("TOKEN_KEYS", settings.token_keys), lifetime_s=settings.access_token_s
        )
        self.passwords = Passwords(settings.password_threads)
        self.lasting = Lifetimes(settings.refresh_token_s, settings.session_s)
        self._secrets = _read("SECRET_KEYS", settings.secret_keys)

    def require(self) -> "Keyring":
        """Give itself; raises AccountsClosed if a key is missing."""
        if not (self.tokens.can_issue and self._secrets):
            raise AccountsClosed("TOKEN_KEYS or SECRET_KEYS is empty: nobody can log in.")
        return self

    def access_token(self, granted: Granted) -> str:
        """Sign an access token for a session."""
        return self.tokens.issue(
            granted.user_id,
            granted.session_id,
            version=granted.token_version,
            now_s=int(time.time()),
        )

    def code_id(self, text: str, *purposes: Purpose) -> tuple[UUID, Purpose]:
        """Read a code of one of the purposes; raises CodeRefused."""
        for purpose in purposes:
            if (code_id := code.read(text, purpose, self._secrets)) is not None:
                return code_id, purpose
        raise code_refused()

    def seal(self, user_id: UUID, secret: bytes) -> bytes:
        """Encrypt what is kept for an account, and is of use for no other."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + _cipher(self._secrets[0]).encrypt(nonce, secret, user_id.bytes)

    def unseal(self, user_id: UUID, sealed: bytes) -> bytes:
        """Decrypt what was sealed with any of the keys; raises AccountsClosed if that one is gone.

        The setting is at fault then, and not whoever logs in.
        """
        nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        for key in self._secrets:
            try:
                return _cipher(key).decrypt(nonce, text, user_id.bytes)
            except InvalidTag:
                continue
        raise AccountsClosed("SECRET_KEYS lacks the key that sealed a second factor: add it again.")


def code_refused() -> CodeRefused:
    """Make the one answer to all codes that are no good."""
    return CodeRefused("It is used, too old, or not one of ours: ask for another.", field="code")


def _cipher(key: bytes) -> AESGCM:
    return AESGCM(derived(key, _SEAL))


def _read(name: str, setting: str) -> tuple[bytes, ...]:
    try:
        return keys(setting)
    except KeyMalformed as error:
        raise SettingInvalid(f"{name}: a key {error}; make one of 32 random bytes.") from error
