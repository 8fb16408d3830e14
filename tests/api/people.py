"""People of every kind, with accounts, sessions and keys, as the application knows them."""

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from litestar import Litestar
from sqlalchemy import insert

from api import credentials
from api.tokens import Tokens
from db import account_tables, api_keys
from db.api_keys import NewKey
from db.engine import Database, transaction
from db.ids import new_id
from domain.principal import Role, Scope, Tier
from tests.web import bearer


class Person(msgspec.Struct, frozen=True):
    """Somebody with an account who is logged in."""

    id: UUID
    session_id: UUID
    headers: dict[str, str]


async def a_person(
    app: Litestar, role: Role = Role.CUSTOMER, *, issued_s_ago: int = 0, **changes: Any
) -> Person:
    """Somebody in a role; `changes` are columns of the account."""
    database: Database = app.state.database
    tokens: Tokens = app.state.tokens
    user_id, session_id = new_id(), new_id()
    email = f"{user_id}@example.com"
    columns = {"email": email, "email_folded": email, "role": role.value, **changes}
    async with transaction(database) as tx:
        await tx.execute(insert(account_tables.users).values(id=user_id, **columns))
        await tx.exec_driver_sql(
            "INSERT INTO sessions (id, user_id, expires_at)"
            " VALUES (%(id)s, %(user)s, now() + interval '1 day')",
            {"id": session_id, "user": user_id},
        )
    now_s = int(time.time()) - issued_s_ago
    token = tokens.issue(user_id, session_id, version=1, now_s=now_s)
    return Person(user_id, session_id, bearer(token))


async def a_key(app: Litestar, owner: UUID, *scopes: Scope, **changes: Any) -> dict[str, str]:
    """Headers with an API key of a person."""
    key = credentials.mint()
    new = NewKey(
        id=new_id(),
        user_id=owner,
        name="A machine",
        prefix=credentials.shown(key),
        hash=credentials.digest(key),
        scopes=[scope.value for scope in scopes],
        tier=Tier.AUTHENTICATED.value,
        **changes,
    )
    async with transaction(app.state.database) as tx:
        await api_keys.insert_one(tx, new)
    return bearer(key)


async def change(app: Litestar, statement: str, params: Mapping[str, Any]) -> None:
    """Change what the database says of somebody, as another process would."""
    async with transaction(app.state.database) as tx:
        await tx.exec_driver_sql(statement, dict(params))
