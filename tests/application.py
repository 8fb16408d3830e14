"""The real web application for a test, without the price of its routes: they are made once."""

from functools import cache

from litestar import Litestar
from litestar.types import ASGIApp

from api.application import equip, routed
from ops.config import Settings


@cache
def _routed() -> tuple[Litestar, ASGIApp]:
    made = routed()
    return made, made.asgi_handler


def build_again(settings: Settings) -> Litestar:
    """Put the application together upon routes that the last test used.

    One at a time: whoever needs two beside each other builds the other one.
    """
    app, inside = _routed()
    app.asgi_handler = inside
    return equip(app, settings)
