"""People of the tests: registered over HTTP, logged in, with the mails that they get."""

import re
import time
from typing import Any

import httpx
import msgspec
from pyotp.totp import TOTP
from sqlalchemy import text

from api.passwords import Passwords
from db import users
from db.engine import Database, transaction
from domain.account import NewAccount
from domain.mail import Delivery, Mail, Sent
from domain.principal import Role
from ops.config import Settings
from tests.stages import drain_notifications

PASSWORD = "correct horse battery staple"  # noqa: S105 - of nobody
OTHER_PASSWORD = "quite another set of words"  # noqa: S105 - of nobody
WRONG = "something else again"

# As Postgres writes them.
_BYTES = re.compile(r"\\+x((?:[0-9a-f]{2})+)")
_CODE = re.compile(r"^[A-Za-z0-9_-]{64}$", re.MULTILINE)
# Hashed once, by an insecure few passes: most tests want somebody to be there, and soon.
_passwords = Passwords(1)


class Tokens(msgspec.Struct):
    """What somebody got who logged in."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str
    session_id: str

    @property
    def headers(self) -> dict[str, str]:
        """Headers of a request by the one who is logged in."""
        return {"Authorization": f"Bearer {self.access_token}"}


class Letterbox:
    """A mailer that keeps the mails of accounts."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    async def send(self, mail: Mail) -> Delivery:
        self.mails.append(mail)
        return Sent()

    async def close(self) -> None:
        """Close nothing."""


async def mails(database: Database, settings: Settings) -> list[Mail]:
    """Have the mails sent that wait, and read them."""
    box = Letterbox()
    await drain_notifications(database, settings, box)
    return box.mails


def code_of(mail: Mail) -> str:
    """Read the code of a mail."""
    [code] = _CODE.findall(mail.text)
    return code


async def someone(
    database: Database, email: str = "ann@example.com", role: Role = Role.CUSTOMER
) -> str:
    """Make an account with PASSWORD, without the way by mail; returns its id."""
    kept = await _passwords.hash(PASSWORD)
    async with transaction(database) as tx:
        user_id = await users.insert(tx, NewAccount(email, None, kept, role.value))
    assert user_id
    return str(user_id)


async def log_in(
    client: httpx.AsyncClient, email: str = "ann@example.com", **more: Any
) -> httpx.Response:
    """Log in with PASSWORD, unless another one is given."""
    return await client.post("/v1/sessions", json={"email": email, "password": PASSWORD, **more})


async def logged_in(
    client: httpx.AsyncClient, email: str = "ann@example.com", **more: Any
) -> Tokens:
    """Log in and read the tokens."""
    return tokens(await log_in(client, email, **more), 201)


def tokens(answer: httpx.Response, status: int = 200) -> Tokens:
    """Read the tokens of an answer."""
    assert answer.status_code == status, answer.text
    return msgspec.convert(answer.json(), Tokens)


async def is_let_in(client: httpx.AsyncClient, who: Tokens) -> bool:
    """Tell whether an access token opens the door."""
    answer = await client.get("/v1/users/me", headers=who.headers)
    assert answer.status_code in {200, 401}, answer.text
    return answer.status_code == 200


async def age_refresh_tokens(database: Database, seconds: float = 6) -> None:
    """Let time pass since refresh tokens were used."""
    async with transaction(database) as tx:
        query = "UPDATE refresh_tokens SET used_at = used_at - make_interval(secs => :s)"
        await tx.execute(text(query), {"s": seconds})


async def with_factor(
    client: httpx.AsyncClient, who: Tokens, database: Database
) -> tuple[str, list[str], Tokens]:
    """Enrol an authenticator: its secret, recovery codes, and tokens to go on with."""
    enrolled = await client.post(
        "/v1/users/me/totp", json={"password": PASSWORD}, headers=who.headers
    )
    secret = enrolled.json()["secret"]
    confirmed = await client.post(
        "/v1/users/me/totp/confirm", json={"otp": TOTP(secret).now()}, headers=who.headers
    )
    assert confirmed.status_code == 200, confirmed.text
    await forget_steps(database)
    shown = confirmed.json()
    return secret, shown["recovery_codes"], msgspec.convert(shown["tokens"], Tokens)


async def forget_steps(database: Database) -> None:
    """Let half a minute pass for one-time passwords: the one of now may be used again."""
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE users SET mfa_last_step = NULL"))


def otp(secret: str, *, apart_s: int = 0) -> str:
    """Read an authenticator."""
    return TOTP(secret).at(int(time.time()) + apart_s)


async def rows_of(database: Database, query: str, **params: Any) -> list[tuple[Any, ...]]:
    """Read what is stored, or what a change returns."""
    async with transaction(database) as tx:
        return [tuple(row) for row in await tx.execute(text(query), params)]


def readable(row: str) -> str:
    """Write the bytes in the text of a row as the text that they may be."""
    return _BYTES.sub(lambda found: bytes.fromhex(found[1]).decode("latin-1"), row)
