"""People over HTTP, for admins: found, and given a role, a tier, or no access at all."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, Router, get, patch
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, conditional, pages
from api.authentication import Asked
from api.problems import Forbidden, InvalidRequest
from api.proof import asker
from db import sessions, users
from db.engine import name_commit
from db.users import Filter, UserView
from domain.account import AccountTier, Revoked, fold
from domain.principal import Role
from domain.refusal import NotFound
from ops.telemetry.faultpoint import Commit


class UserPage(msgspec.Struct, frozen=True):
    """A part of the list, newest first; the Link header leads to the next one."""

    users: list[UserView]


class ChangeUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to change; what is left out stays."""

    role: Role | None = None
    tier: AccountTier | None = None
    disabled: bool | None = None


class Standing(msgspec.Struct, frozen=True):
    """What the audit log shows of a change."""

    role: str
    tier: str
    disabled: bool


@get("")
async def list_users(  # noqa: PLR0913, PLR0917 - one parameter per filter
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    email: Annotated[str | None, QueryParameter(min_length=1, max_length=254)] = None,
    role: Annotated[Role | None, QueryParameter()] = None,
    disabled: Annotated[bool | None, QueryParameter()] = None,
    cursor: Annotated[str | None, QueryParameter(max_length=200)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Response[UserPage]:
    """List accounts, newest first."""
    wanted = Filter(_folded(email), None if role is None else role.value, disabled)
    before = None if cursor is None else pages.decode(cursor)
    found = await users.page(tx, wanted, before=before, limit=limit + 1)
    shown = found[:limit]
    headers = pages.link(request, shown[-1].id) if len(found) > limit else {}
    return Response(UserPage(shown), headers=headers)


def _folded(email: str | None) -> str | None:
    if email is None:
        return None
    try:
        return fold(email)
    except ValueError as error:
        raise InvalidRequest(str(error), field="email") from error


@get("/{user_id:uuid}")
async def get_user(
    request: Asked, tx: NamedDependency[AsyncConnection], user_id: FromPath[UUID]
) -> Response[UserView]:
    """Read an account."""
    found = await users.get(tx, user_id)
    return conditional.show(request, found, version=found.version)


@patch("/{user_id:uuid}")
async def change_user(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    user_id: FromPath[UUID],
    data: JSONBody[ChangeUser],
) -> Response[UserView]:
    """Change role, tier or access of somebody; it counts from their next request on.

    Nobody changes their own, so that an admin is always left.
    """
    if user_id == request.user.user_id:
        raise Forbidden("Nobody changes their own standing: ask another admin.")
    name_commit(tx, Commit.USER)
    found = await _held(tx, request, user_id)
    if found.deleted:
        raise NotFound(f"There is no account {user_id}.")
    conditional.check(request, version=found.version)
    before = Standing(found.role, found.tier, found.disabled)
    after = Standing(
        data.role or before.role,
        data.tier or before.tier,
        before.disabled if data.disabled is None else data.disabled,
    )
    if after != before:
        await users.set_standing(tx, user_id, **msgspec.structs.asdict(after))
        await audit.record(tx, request, "user.change", user_id, before=before, after=after)
        if after.disabled:
            await sessions.revoke(tx, user_id, Revoked.STAFF)
    changed = await users.get(tx, user_id)
    return conditional.show(request, changed, version=changed.version)


async def _held(tx: AsyncConnection, request: Asked, user_id: UUID) -> UserView:
    """Lock an account, and that of the admin who changes it, who must be one still.

    Else two admins who end each other's standing at the same time would both succeed.
    """
    own, _ = asker(request)
    held = {each: await users.get(tx, each, lock=True) for each in sorted({own, user_id})}
    if held[own].disabled or held[own].role != Role.ADMIN:
        raise Forbidden("You are no admin any more.")
    return held[user_id]


router = Router("/v1/users", route_handlers=[list_users, get_user, change_user], tags=["users"])
