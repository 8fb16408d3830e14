"""Who asks: found out once per request, outside of the routing, so that a 404 has its asker too."""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, final

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from api import credentials
from api.cookies import CSRF_HEADER, Cookies, header_of, is_from_here
from api.limits import Limits, address_of
from api.problems import Unauthenticated
from api.standing import Standings
from api.tokens import Tokens
from db.standings import Credential, Standing
from domain import claim
from domain.principal import (
    ANONYMOUS,
    Principal,
    PrincipalKind,
    Role,
    Tier,
    acting,
    tier_of_key,
)
from domain.principal import Scope as Right
from domain.refusal import NotFound, Refusal
from ops.config import Settings
from ops.dashboard.routes import LIVE
from ops.dashboard.routes import PREFIX as PAGES

# A request whose `user` is who asks.
Asked = Request[Principal, Refusal | None, State]

_SCHEME = "bearer"
# The longest credential is an access token of some hundred characters.
_TOKEN_CHARS_MAX = 4096
# Some hundred bytes each: those are forgotten that asked first.
_FAMILIAR_MAX = 50_000
# Whoever left a browser alone for longer than this, e.g. over lunch, may not be there any more.
COOKIE_UNUSED_S = 4 * 3600
_NOTED_EVERY_S = 60.0
_API = "/v1/"


@final
class Authentication:
    """Finds out who asks, and tells the application by `scope["user"]`.

    A credential that is no good makes nobody of the asker. Why, is in `scope["auth"]`, which
    the policy of the route raises: a path that does not exist is not found all the same.
    """

    def __init__(self, app: ASGIApp, state: State, *, exempt: Collection[str]) -> None:
        """Ask nobody who sends requests to the paths in `exempt`: probes wait for no database."""
        self._app = app
        self._exempt = frozenset(exempt)
        self._limits: Limits = state.limits
        self._settings: Settings = state.settings
        self._standings: Standings = state.standings
        self._tokens: Tokens = state.tokens
        self._claim_keys: Sequence[bytes] = state.claim_keys
        # What was good when it was last looked up, which says nothing of now.
        self._familiar: dict[Credential, None] = {}
        self._cookies: Cookies = state.cookies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["user"], scope["auth"] = await self._identified(scope)
        await self._app(scope, receive, send)

    async def _identified(self, scope: HTTPScope) -> tuple[Principal, Refusal | None]:
        if scope["path"] in self._exempt:
            return ANONYMOUS, None
        try:
            return await self.identify(scope), None
        except Refusal as refusal:
            return ANONYMOUS, refusal

    async def identify(self, scope: HTTPScope) -> Principal:
        """Find out who asks.

        Raises Unauthenticated for a credential that is no good, Unavailable in an outage.
        """
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if not given:
            return await self._of_cookie(scope)
        scheme, _, token = given[0].decode("latin-1").partition(" ")
        if len(given) > 1 or scheme.lower() != _SCHEME or not 0 < len(token) <= _TOKEN_CHARS_MAX:
            raise Unauthenticated("Send one header `Authorization: Bearer <token>`.")
        if credentials.is_like(token):
            return await self._of_key(token, address_of(scope))
        if claim.is_like(token):
            return self._of_claim(token)
        return await self._of_access_token(token, address_of(scope))

    async def _of_key(self, key: str, address: str) -> Principal:
        if not credentials.is_well_formed(key):
            raise Unauthenticated("The API key has a typing error: its checksum is wrong.")
        credential = Credential(key_hash=credentials.digest(key))
        found = await self._standing(credential, address, lambda one: one.key_active)
        role = self._role(found)
        return Principal(
            PrincipalKind.KEY,
            user_id=found.user_id,
            role=role,
            # One that a later release has made is none that this one knows.
            scopes=frozenset(right for right in Right if right in (found.key_scopes or ())),
            tier=tier_of_key(Tier(found.key_tier or Tier.AUTHENTICATED), role, Tier(found.tier)),
            key_id=found.key_id,
            lacks_factor=role != found.role,
        )

    async def _standing(
        self, credential: Credential, address: str, is_good: Callable[[Standing], bool]
    ) -> Standing:
        """Look up a credential that has to be good. Raises Unauthenticated.

        Raises QuotaExceeded, without asking the database, for what was not good here before and
        comes from an address that has nothing left. So guesses cost the database no more than
        anonymous requests do, and who shares an address with a guesser goes on.
        """
        if credential not in self._familiar:
            self._limits.refuse_spent(address)
        try:
            found = await self._standings.of(credential)
        except NotFound:
            found = None
        self._familiar.pop(credential, None)
        if found is None or not (found.active and is_good(found)):
            raise Unauthenticated(_REFUSED)
        self._familiar[credential] = None
        if len(self._familiar) > _FAMILIAR_MAX:
            del self._familiar[next(iter(self._familiar))]
        return found

    def _role(self, found: Standing) -> Role:
        required = self._settings.require_mfa
        return acting(Role(found.role), mfa=found.mfa, mfa_required=required)

    def _of_claim(self, token: str) -> Principal:
        order_id = claim.read(token, self._claim_keys)
        if order_id is None:
            raise Unauthenticated(_REFUSED)
        # Whether an account has the order by now is asked where the order is.
        return Principal(PrincipalKind.GUEST, order_id=order_id)

    async def _of_access_token(self, token: str, address: str) -> Principal:
        claims = self._tokens.verify(token, now_s=int(time.time()))

        def is_good(found: Standing) -> bool:
            current = found.token_version == claims.ver
            return found.session_active and current

        found = await self._standing(Credential(claims.sub, claims.sid), address, is_good)
        role = self._role(found)
        return Principal(
            PrincipalKind.USER,
            user_id=found.user_id,
            role=role,
            tier=Tier(found.tier),
            session_id=claims.sid,
            lacks_factor=role != found.role,
        )

    async def _of_cookie(self, scope: HTTPScope) -> Principal:
        """Tell whose browser it is: for pages, and for the API if one of our pages asks."""
        shown = self._cookies.read(scope) if _takes_cookies(scope["path"]) else None
        if shown is None:
            return ANONYMOUS
        if scope["path"].startswith(_API):
            token = header_of(scope, CSRF_HEADER)
            if not (self._cookies.is_ours(token, shown.session_id) and is_from_here(scope)):
                return ANONYMOUS

        def is_good(found: Standing) -> bool:
            return found.session_active and (found.session_unused_s or 0) < COOKIE_UNUSED_S

        credential = Credential(shown.user_id, shown.session_id)
        found = await self._standing(credential, address_of(scope), is_good)
        # A page that is left open asks by itself; that is nobody's doing.
        if (found.session_unused_s or 0) >= _NOTED_EVERY_S and scope["path"] != LIVE:
            self._standings.touch_session(shown.session_id)
        role = self._role(found)
        return Principal(
            PrincipalKind.USER,
            user_id=found.user_id,
            role=role,
            tier=Tier(found.tier),
            session_id=shown.session_id,
            lacks_factor=role != found.role,
        )


def _takes_cookies(path: str) -> bool:
    return path == PAGES or path.startswith((f"{PAGES}/", _API))


# One text for all of them: which part of a credential was right is nobody's business.
_REFUSED = "The token is not valid, or not any more: get a new one."


def who(connection: "ASGIConnection[Any, Any, Any, Any]") -> Principal:
    """Tell who asks; raises what is wrong with the credential that was sent."""
    if (refusal := connection.scope["auth"]) is not None:
        raise refusal
    return connection.scope["user"]
