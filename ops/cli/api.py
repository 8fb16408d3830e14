"""The API as the command line asks it: with a key, and with errors that say what to do."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

# Longer than the server gives a request.
TIMEOUT_S = 20.0

# A body of the API; what of it is shown is named where it is shown.
Json = Mapping[str, Any]


class Failed(Exception):
    """It did not happen, or is not known to have; the message is for the person who asked."""


class Api:
    """Asks one installation; each method raises Failed."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, path: str, **query: str | None) -> Json:
        """Read something; what is None is not asked."""
        given = {name: value for name, value in query.items() if value is not None}
        return await self._ask("GET", path, params=given)

    async def post(self, path: str, content: object = None) -> Json:
        """Have something done."""
        return await self._ask("POST", path, json=content)

    async def put(self, path: str, content: object) -> Json:
        """Set something."""
        return await self._ask("PUT", path, json=content)

    async def _ask(self, method: str, path: str, **more: Any) -> Json:  # noqa: ANN401 - of aiohttp
        try:
            async with self._session.request(method, path, **more) as answer:
                return _read(answer.status, await answer.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            why = f"{type(error).__name__} {error}".strip()
            raise Failed(f"{method} {path} got no answer: {why}.") from error


class _Problem(msgspec.Struct):
    detail: str
    code: str


def _read(status: int, body: bytes) -> Json:
    try:
        if status < 400:  # noqa: PLR2004 - where errors begin
            return msgspec.json.decode(body, type=dict[str, Any])
        problem = msgspec.json.decode(body, type=_Problem)
    except msgspec.MsgspecError as error:
        raise Failed(f"What answered with {status} is not Orderflow: check the URL.") from error
    raise Failed(f"{problem.detail} ({problem.code})")


@asynccontextmanager
async def connected(url: str, key: str) -> AsyncGenerator[Api]:
    """Give the API of the installation at a URL."""
    async with aiohttp.ClientSession(
        base_url=url,
        headers={"Authorization": f"Bearer {key}"},
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        json_serialize=lambda content: msgspec.json.encode(content).decode(),
    ) as session:
        yield Api(session)
