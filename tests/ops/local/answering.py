"""A server with answers made up by a test, and the API's client of it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID

from aiohttp import web
from aiohttp.test_utils import TestServer

from ops.local.client import GIVE_UP_AFTER_S, Client, connected

ACCEPTED = {"id": str(UUID(int=7)), "total_minor": 500, "currency": "GBP"}

Handler = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def serving(
    *answers: Handler, give_up_after_s: float = GIVE_UP_AFTER_S
) -> AsyncGenerator[tuple[Client, list[web.Request]]]:
    """A client of a server that gives these answers, and the requests it gets."""
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        await request.read()
        return await answers[len(asked) - 1](request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        connection = connected(
            str(server.make_url("/")),
            admin_api_key="key",
            connections=2,
            give_up_after_s=give_up_after_s,
        )
        async with connection as client:
            yield client, asked


def answers(content: object, *, status: int = 200) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        del request
        return web.json_response(content, status=status)

    return answer


def says(status: int, code: str) -> Handler:
    """A problem with this code."""
    return answers({"code": code, "detail": "Because."}, status=status)


accepts = answers(ACCEPTED, status=202)


async def hangs_up(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.close()
    return web.Response()
