"""People by their ids: what a page calls those who did something."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch


def _pair(user_id: UUID, email: str) -> tuple[UUID, str]:
    return user_id, email


async def emails(tx: AsyncConnection, ids: Iterable[UUID | None]) -> Mapping[UUID | None, str]:
    """Give the addresses of accounts, as far as these are there."""
    query = "SELECT id, email FROM users WHERE id = ANY (%(ids)b::uuid[])"
    wanted = {user_id for user_id in ids if user_id is not None}
    return dict(await fetch(tx, _pair, query, {"ids": list(wanted)}))
