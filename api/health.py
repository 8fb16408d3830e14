"""What machines ask: is the process alive, can it work, what does it count."""

import hmac
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, Router, get
from litestar.datastructures import State

from api.cookies import header_of
from api.problems import Unauthenticated
from api.scraped import Scraped
from db.engine import Busy, Unavailable, transaction
from ops.config import Settings
from ops.telemetry import exposition

# Who asks for readiness gives up after a second or two.
READY_WITHIN_S = 1.5


class Health(msgspec.Struct, frozen=True):
    """`ok`, or what is missing."""

    status: str


@get("/health/live", sync_to_thread=False)
def live() -> Health:
    """Say that the process answers; a restart would not mend what this does not see."""
    return Health("ok")


@get("/health/ready")
async def ready(state: State) -> Response[Health]:
    """Say whether orders can be accepted: 503 while Postgres is away. Redis is not needed."""
    try:
        async with transaction(state.database, timeout_s=READY_WITHIN_S) as tx:
            await tx.exec_driver_sql("SELECT 1")
    except (Unavailable, Busy):
        health = Health("Postgres cannot be reached: check DATABASE_URL and the server.")
        return Response(health, status_code=HTTPStatus.SERVICE_UNAVAILABLE)
    return Response(Health("ok"))


@get("/metrics", media_type=MediaType.TEXT)
async def show_metrics(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """Show Prometheus what all processes of this machine count, and what is waiting.

    With METRICS_TOKEN to who sends it alone. While Postgres is away the counts are shown alone,
    and `orderflow_database_up` is 0.
    """
    settings: Settings = state.settings
    expected = f"Bearer {settings.metrics_token}".encode()
    given = header_of(request.scope, "Authorization").encode("latin-1")
    if settings.metrics_token and not hmac.compare_digest(given, expected):
        raise Unauthenticated("Send METRICS_TOKEN: `Authorization: Bearer <token>`.")
    scraped: Scraped = state.scraped
    # As a media type Litestar would add the charset, which is in it, once more.
    text = await scraped.text()
    return Response(text, headers={"Content-Type": exposition.CONTENT_TYPE})


router = Router("/", route_handlers=[live, ready, show_metrics], tags=["operations"])
