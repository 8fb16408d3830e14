"""Explanations over HTTP: why an order is where it is, for staff."""

from typing import Any
from uuid import UUID

from litestar import Request, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from db import explanations
from domain.explain import explain
from domain.explanation import Explanation
from ops.config import Settings


@get("/{order_id:uuid}/explain")
async def explain_order(
    request: Request[Any, Any, Any], tx: NamedDependency[AsyncConnection], order_id: FromPath[UUID]
) -> Explanation:
    """Explain what an order waits for, since when, whose move it is, and what is safe to do."""
    settings: Settings = request.app.state.settings
    return explain(await explanations.get(tx, order_id, settings))


router = Router("/v1/orders", route_handlers=[explain_order], tags=["orders"])
