"""Who asks: found out once per request, outside of the routing, so that a 404 has its asker too."""

import hmac
from typing import Any, final

from litestar.connection import ASGIConnection
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from api.problems import Unauthenticated
from domain.principal import ANONYMOUS, Principal, PrincipalKind, Role, Tier
from domain.principal import Scope as KeyScope
from domain.refusal import Refusal
from ops.config import Settings

_SCHEME = "bearer"


@final
class Authentication:
    """Finds out who asks, and tells the application by `scope["user"]`.

    A credential that is no good makes nobody of the asker. Why, is in `scope["auth"]`, which
    the policy of the route raises: a path that does not exist is not found all the same.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["user"], scope["auth"] = await self._identified(scope)
        await self._app(scope, receive, send)

    async def _identified(self, scope: HTTPScope) -> tuple[Principal, Refusal | None]:
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
            return ANONYMOUS
        scheme, _, token = given[0].decode("latin-1").partition(" ")
        if len(given) > 1 or scheme.lower() != _SCHEME or not token:
            raise Unauthenticated("Send one header `Authorization: Bearer <token>`.")
        return self._of_admin_key(token)

    def _of_admin_key(self, token: str) -> Principal:
        wanted = self._settings.admin_api_key
        if wanted and hmac.compare_digest(token.encode(), wanted.encode()):
            return Principal(
                PrincipalKind.KEY,
                role=Role.ADMIN,
                scopes=frozenset(KeyScope),
                tier=Tier.MACHINE,
            )
        raise Unauthenticated("The token is not valid: get a new one.")


def who(connection: "ASGIConnection[Any, Any, Any, Any]") -> Principal:
    """Tell who asks; raises what is wrong with the credential that was sent."""
    if (refusal := connection.scope["auth"]) is not None:
        raise refusal
    return connection.scope["user"]
