"""The inbox: pages that show the mails to people, and the same as JSON for programs."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from ops.sandbox.mailbox import Letter, Mailbox, letter

_PAGE = 50
_JSON_MAX = 1000
_HERE = Path(__file__).parent / "templates"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Inbox:
    """What a browser or a program may ask of a mailbox."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._pages = Environment(
            loader=PackageLoader("ops.sandbox"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def application(self) -> web.Application:
        """Make the HTTP application."""
        app = web.Application(middlewares=[_harden])
        app.add_routes(
            [
                web.get("/", self._index),
                web.get("/count", self._count),
                web.get("/mails.json", self._json),
                web.get("/inbox.css", self._css),
                web.get(r"/mails/{n:\d{1,9}}", self._mail),
                web.get(r"/mails/{n:\d{1,9}}/source", self._source),
            ]
        )
        return app

    async def _index(self, request: web.Request) -> web.Response:
        total = len(self._mailbox)
        newest = min(_number(request, "before", total + 1), total + 1) - 1
        oldest = max(newest - _PAGE, 0) + 1
        mails = self._mailbox.letters(range(newest, oldest - 1, -1))
        older = oldest if oldest > 1 else None
        newer = min(newest + _PAGE, total) + 1 if newest < total else None
        return self._page("index.html", mails=mails, total=total, older=older, newer=newer)

    async def _mail(self, request: web.Request) -> web.Response:
        mail = self._letter(request)
        return self._page("mail.html", mail=mail, total=len(self._mailbox))

    async def _source(self, request: web.Request) -> web.Response:
        kept = self._mailbox.kept(int(request.match_info["n"]))
        if kept is None:
            raise web.HTTPNotFound
        return web.Response(body=kept.raw, content_type="text/plain", charset="utf-8")

    async def _json(self, request: web.Request) -> web.Response:
        since = _number(request, "since", 0)
        last = min(since + _number(request, "limit", _JSON_MAX, most=_JSON_MAX), len(self._mailbox))
        mails = self._mailbox.letters(range(since + 1, last + 1))
        body = msgspec.json.encode({"count": len(self._mailbox), "mails": mails})
        return web.Response(body=body, content_type="application/json")

    async def _count(self, _request: web.Request) -> web.Response:
        body = msgspec.json.encode({"count": len(self._mailbox)})
        return web.Response(body=body, content_type="application/json")

    async def _css(self, _request: web.Request) -> web.FileResponse:
        return web.FileResponse(_HERE / "inbox.css")

    def _letter(self, request: web.Request) -> Letter:
        n = int(request.match_info["n"])
        kept = self._mailbox.kept(n)
        if kept is None:
            raise web.HTTPNotFound
        return letter(n, kept)

    def _page(self, template: str, **shown: object) -> web.Response:
        html = self._pages.get_template(template).render(**shown)
        return web.Response(text=html, content_type="text/html")


@web.middleware
async def _harden(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(_HEADERS)
        raise
    response.headers.update(_HEADERS)
    return response


def _number(request: web.Request, name: str, default: int, *, most: int = 10**9) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text[:10]) <= most):
        raise web.HTTPBadRequest(text=f"{name} must be a whole number up to {most}.")
    return int(text)
