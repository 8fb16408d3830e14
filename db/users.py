"""Accounts of people: found by address, changed by their owners and by staff."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import and_, case, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import func

from db import account_tables, invalidations
from db.engine import fetch
from db.ids import new_id
from domain.account import Login, NewAccount, fold
from domain.refusal import NotFound

_u = account_tables.users.c


class UserView(msgspec.Struct, frozen=True):
    """An account as its owner and staff see it; `version` counts its changes."""

    id: UUID
    email: str | None
    name: str | None
    role: str
    tier: str
    mfa_enabled: bool
    disabled: bool
    version: int
    created_at: datetime
    deleted: bool


class Filter(msgspec.Struct, frozen=True):
    """What a list of accounts is narrowed by."""

    email_folded: str | None = None
    role: str | None = None
    disabled: bool | None = None


async def find_login(
    tx: AsyncConnection, *, email_folded: str | None = None, user_id: UUID | None = None
) -> Login | None:
    """Read an account for whoever wants to log in, by its address or by its id."""
    found = await fetch(
        tx,
        Login,
        """
        SELECT id, email, name, password_hash, token_version, mfa_secret,
               mfa_enabled_at IS NOT NULL, disabled_at IS NOT NULL
        FROM users
        WHERE deleted_at IS NULL
          AND (%(email)b::text IS NULL OR email_folded = %(email)b::text)
          AND (%(id)b::uuid IS NULL OR id = %(id)b::uuid)
          AND num_nonnulls(%(email)b::text, %(id)b::uuid) = 1
        """,
        {"email": email_folded, "id": user_id},
    )
    return found[0] if found else None


async def get_login(tx: AsyncConnection, user_id: UUID) -> Login:
    """Read an account that is logged in; raises NotFound once it is deleted."""
    found = await find_login(tx, user_id=user_id)
    if found is None:
        raise NotFound(f"There is no account {user_id}.")
    return found


async def insert(tx: AsyncConnection, account: NewAccount) -> UUID | None:
    """Make an account whose address is verified; None if the address has one already."""
    made = await fetch(
        tx,
        UUID,
        """
        INSERT INTO users (id, email, email_folded, name, password_hash, role,
                           email_verified_at, password_changed_at)
        VALUES (%(id)s, %(email)s, %(email_folded)s, %(name)s, %(password_hash)s, %(role)s,
                now(), now())
        ON CONFLICT (email_folded) DO NOTHING
        RETURNING id::text
        """,
        {
            "id": new_id(),
            "email": account.email,
            "email_folded": fold(account.email),
            "name": account.name,
            "password_hash": account.password_hash,
            "role": account.role,
        },
    )
    return made[0] if made else None


_QUERY = select(
    _u.id,
    _u.email,
    _u.name,
    _u.role,
    _u.tier,
    _u.mfa_enabled_at.is_not(None),
    _u.disabled_at.is_not(None),
    _u.version,
    _u.created_at,
    _u.deleted_at.is_not(None),
)


async def get(tx: AsyncConnection, user_id: UUID, *, lock: bool = False) -> UserView:
    """Read an account, deleted ones too; raises NotFound."""
    query = _QUERY.where(_u.id == user_id)
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise NotFound(f"There is no account {user_id}.")
    return UserView(*row)


async def stay(tx: AsyncConnection, user_id: UUID) -> None:
    """Keep an account from being erased until the transaction ends; raises NotFound if it was."""
    query = "SELECT id::text FROM users WHERE id = %(id)s AND deleted_at IS NULL FOR SHARE"
    if not await fetch(tx, UUID, query, {"id": user_id}):
        raise NotFound(f"There is no account {user_id}.")


async def page(
    tx: AsyncConnection, wanted: Filter, *, before: UUID | None, limit: int
) -> list[UserView]:
    """List accounts, newest first, from just before `before` on."""
    query = _QUERY.where(_u.deleted_at.is_(None)).order_by(_u.id.desc()).limit(limit)
    if wanted.email_folded is not None:
        query = query.where(_u.email_folded == wanted.email_folded)
    if wanted.role is not None:
        query = query.where(_u.role == wanted.role)
    if wanted.disabled is not None:
        query = query.where(_u.disabled_at.is_not(None) == wanted.disabled)
    if before is not None:
        query = query.where(_u.id < before)
    return [UserView(*row) for row in await tx.execute(query)]


async def rename(tx: AsyncConnection, user_id: UUID, name: str | None) -> None:
    """Change what somebody is called."""
    await _change(tx, user_id, {"name": name})


async def set_standing(
    tx: AsyncConnection, user_id: UUID, *, role: str, tier: str, disabled: bool
) -> None:
    """Change what somebody may do, and how often.

    With another role, or other access, tokens that were issued before count no more.
    """
    may_the_same = and_(_u.role == role, _u.disabled_at.is_not(None) == disabled)
    changes = {
        "role": role,
        "tier": tier,
        "disabled_at": func.coalesce(_u.disabled_at, func.now()) if disabled else None,
        "token_version": _u.token_version + case((may_the_same, 0), else_=1),
    }
    await _change(tx, user_id, changes)


async def set_password(tx: AsyncConnection, user_id: UUID, password_hash: str) -> None:
    """Change a password; access tokens that were issued before count no more."""
    changes = {
        "password_hash": password_hash,
        "password_changed_at": func.now(),
        "token_version": _u.token_version + 1,
    }
    await _change(tx, user_id, changes)


async def renew_hash(tx: AsyncConnection, user_id: UUID, old: str, new: str) -> None:
    """Keep the same password under another hash, unless it was changed meanwhile."""
    query = update(account_tables.users).where(_u.id == user_id, _u.password_hash == old)
    await tx.execute(query.values(password_hash=new))


async def set_email(tx: AsyncConnection, user_id: UUID, *, was: str, email: str) -> bool:
    """Give an account another address; False if it has changed, or somebody else has that one."""
    query = (
        update(account_tables.users)
        .where(_u.id == user_id, _u.email_folded == fold(was), _u.deleted_at.is_(None))
        .values(
            email=email,
            email_folded=fold(email),
            email_verified_at=func.now(),
            token_version=_u.token_version + 1,
            version=_u.version + 1,
            updated_at=func.now(),
        )
    )
    await invalidations.touch(tx, [f"user:{user_id}"])
    try:
        async with tx.begin_nested():
            return (await tx.execute(query)).rowcount == 1
    except IntegrityError:
        return False


async def _change(tx: AsyncConnection, user_id: UUID, changes: Mapping[str, Any]) -> None:
    await invalidations.touch(tx, [f"user:{user_id}"])
    query = update(account_tables.users).where(_u.id == user_id, _u.deleted_at.is_(None))
    await tx.execute(query.values(**changes, version=_u.version + 1, updated_at=func.now()))
