"""Bodies: waited for at the edge, so that a slow one holds nothing but its own connection."""

from typing import final

from litestar.types import (
    ASGIApp,
    HTTPReceiveMessage,
    Receive,
    Scope,
    Send,
    WebSocketReceiveMessage,
)

_Message = HTTPReceiveMessage | WebSocketReceiveMessage


@final
class WholeBodies:
    """Passes a request on once its body is whole, or longer than anybody wants it.

    How long that may take is the business of the connection.
    """

    def __init__(self, app: ASGIApp, *, bytes_max: int) -> None:
        self._app = app
        self._bytes_max = bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._is_awaited(scope):
            receive = _first(await self._whole(receive), receive)
        await self._app(scope, receive, send)

    def _is_awaited(self, scope: Scope) -> bool:
        for name, value in scope["headers"]:
            if name == b"content-length":
                # What says that it is too long is refused before it has come.
                return value != b"0" and value.isdigit() and int(value) <= self._bytes_max
            if name == b"transfer-encoding":
                return True
        return False

    async def _whole(self, receive: Receive) -> _Message:
        message = await receive()
        if message["type"] != "http.request" or not message["more_body"]:
            return message
        body = bytearray(message["body"])
        while message["more_body"] and len(body) <= self._bytes_max:
            message = await receive()
            if message["type"] != "http.request":
                return message
            body += message["body"]
        return {**message, "body": bytes(body)}


def _first(message: _Message, receive: Receive) -> Receive:
    """Give a message that has come already, then what comes."""
    waiting = [message]

    async def next_message() -> _Message:
        return waiting.pop() if waiting else await receive()

    return next_message
