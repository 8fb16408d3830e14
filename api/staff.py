"""Staff routes: until accounts exist, whoever holds ADMIN_API_KEY is staff."""

import hmac
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from api.problems import Forbidden, Unauthenticated
from ops.config import Settings

# What the OpenAPI document says of a staff route.
STAFF = [{"bearer": list[str]()}]


async def staff_only(connection: "ASGIConnection[Any, Any, Any, Any]", _: BaseRouteHandler) -> None:
    """Let only holders of the staff key pass.

    Raises Unauthenticated, or Forbidden if no key is configured.
    """
    settings: Settings = connection.app.state.settings
    if not settings.admin_api_key:
        raise Forbidden("Staff routes are closed: set ADMIN_API_KEY.")
    if not is_staff(connection):
        raise Unauthenticated("Send the staff key: `Authorization: Bearer <ADMIN_API_KEY>`.")


def is_staff(connection: "ASGIConnection[Any, Any, Any, Any]") -> bool:
    """Tell whether who asks holds the staff key."""
    settings: Settings = connection.app.state.settings
    scheme, _space, token = connection.headers.get("authorization", "").partition(" ")
    right = hmac.compare_digest(token.encode(), settings.admin_api_key.encode())
    return bool(settings.admin_api_key) and scheme.lower() == "bearer" and right
