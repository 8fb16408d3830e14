"""API keys over HTTP: made, listed, rotated and revoked by people, for their machines."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, credentials, pages
from api.authentication import Asked
from api.problems import Forbidden
from db import api_keys
from db.api_keys import KeyView, NewKey
from db.engine import name_commit
from db.ids import new_id
from domain.principal import GRANTABLE, Principal, Role, Scope, Tier, may_give
from domain.text import Text
from ops.telemetry.faultpoint import Commit

EXPIRES_IN_DAYS_MAX = 3650
# Long enough for every machine to get the new key, even over a weekend.
OVERLAP_S, OVERLAP_S_MAX = 259_200, 2_592_000

_SCOPES = ", ".join(Scope)


class MakeKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key that may do what `scopes` name, and no more than its owner may."""

    name: Text
    scopes: Annotated[
        list[Annotated[Scope, Meta(description=_SCOPES)]],
        Meta(min_length=1, max_length=len(Scope)),
    ]
    expires_in_days: Annotated[int, Meta(ge=1, le=EXPIRES_IN_DAYS_MAX)] | None = None
    tier: Annotated[Tier, Meta(description="authenticated or premium")] = Tier.AUTHENTICATED


class RotateKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The old key is good for `overlap_s` seconds longer; 0 ends it at once."""

    overlap_s: Annotated[int, Meta(ge=0, le=OVERLAP_S_MAX)] = OVERLAP_S


class MadeKey(msgspec.Struct, frozen=True):
    """A key that is shown this once."""

    key: str
    about: KeyView


class KeyPage(msgspec.Struct, frozen=True):
    """Keys, newest first; the Link header names the next page."""

    keys: list[KeyView]


@post("/")
async def make_key(
    request: Asked, tx: NamedDependency[AsyncConnection], data: JSONBody[MakeKey]
) -> MadeKey:
    """Make a key; it is shown in this answer and never again."""
    name_commit(tx, Commit.API_KEY)
    _refuse_excess(request.user, data)
    days = data.expires_in_days
    key, new = _minted(
        _account(request.user),
        data.name,
        sorted({scope.value for scope in data.scopes}),
        data.tier.value,
        None if days is None else datetime.now(UTC) + timedelta(days=days),
    )
    made = await api_keys.insert_one(tx, new)
    await audit.record(tx, request, "api_key.make", made.id, after=made)
    return MadeKey(key, made)


def _refuse_excess(maker: Principal, wanted: MakeKey) -> None:
    """Raise Forbidden for a key that could do more than who makes it."""
    grantable = frozenset[Scope]() if maker.role is None else GRANTABLE[maker.role]
    if excess := sorted(set(wanted.scopes) - grantable):
        raise Forbidden(f"Your role cannot give: {', '.join(excess)}.", field="scopes")
    if not may_give(maker, wanted.tier):
        raise Forbidden(f"You cannot give the tier {wanted.tier}.", field="tier")


def _account(principal: Principal) -> UUID:
    if principal.user_id is None:
        raise Forbidden("Log in: a key belongs to an account.")
    return principal.user_id


def _minted(
    owner: UUID, name: str, scopes: list[str], tier: str, expires_at: datetime | None
) -> tuple[str, NewKey]:
    key = credentials.mint()
    digest, shown = credentials.digest(key), credentials.shown(key)
    return key, NewKey(new_id(), owner, name, shown, digest, scopes, tier, expires_at)


@get("/")
async def list_keys(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    user: Annotated[UUID | None, QueryParameter()] = None,
    cursor: Annotated[str | None, QueryParameter(max_length=200)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Response[KeyPage]:
    """List one's own keys, newest first; an admin names another account by `user`."""
    own = _account(request.user)
    if user not in {None, own} and request.user.role is not Role.ADMIN:
        raise Forbidden("Only an admin sees the keys of others.", field="user")
    before = None if cursor is None else pages.decode(cursor)
    found = await api_keys.page(tx, of=user or own, before=before, limit=limit + 1)
    shown = found[:limit]
    headers = pages.link(request, shown[-1].id) if len(found) > limit else {}
    return Response(KeyPage(shown), headers=headers)


@post("/{key_id:uuid}/rotate")
async def rotate_key(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    key_id: FromPath[UUID],
    data: JSONBody[RotateKey],
) -> MadeKey:
    """Make the successor of a key, with all its rights; both are good until the old one ends."""
    name_commit(tx, Commit.API_KEY)
    old = await api_keys.lock(tx, key_id, of=_account(request.user))
    key, new = _minted(old.user_id, old.name, list(old.scopes), old.tier, old.expires_at)
    made = await api_keys.replace(tx, old, new, overlap_s=data.overlap_s)
    await audit.record(tx, request, "api_key.rotate", key_id, before=old, after=made)
    return MadeKey(key, made)


@delete("/{key_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def revoke_key(
    request: Asked, tx: NamedDependency[AsyncConnection], key_id: FromPath[UUID]
) -> None:
    """End a key at once; again is the same. An admin ends those of others, too."""
    name_commit(tx, Commit.API_KEY)
    of = None if request.user.role is Role.ADMIN else _account(request.user)
    key = await api_keys.lock(tx, key_id, of=of)
    revoked = await api_keys.revoke(tx, key)
    if key.revoked_at is None:
        await audit.record(tx, request, "api_key.revoke", key_id, before=key, after=revoked)


router = Router(
    "/v1/api-keys",
    route_handlers=[make_key, list_keys, rotate_key, revoke_key],
    tags=["API keys"],
)
