"""Where a request came from, as its sender may recognise it in a list of sessions."""

from typing import Any

from litestar import Request

from domain.account import Origin

_USER_AGENT_CHARS_MAX = 200


def origin(request: Request[Any, Any, Any]) -> Origin:
    """Tell address and user agent; the edge has put the client's address in its proxies' place."""
    agent = request.headers.get("user-agent", "")[:_USER_AGENT_CHARS_MAX]
    shown = "".join(letter for letter in agent if letter.isprintable())
    return Origin(request.client.host if request.client else None, shown or None)
