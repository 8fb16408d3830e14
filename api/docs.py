"""The documentation as the web process serves it: everything from here, nothing from elsewhere."""

from functools import lru_cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from litestar import Litestar, Request, Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, License, SecurityScheme
from litestar.params import FromPath
from litestar.response import File
from litestar.serialization import encode_json

from api import versions
from api.codes import KINDS
from api.openapi import completed
from api.policy import POLICIES
from domain.refusal import NotFound

# Swagger UI needs no more than this (looked at in Chromium: no violation, operations opened too).
_BEARER = "An access token, an API key that has the named scope, or the claim token of an order."
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# They change with a release only; an hour is how long a browser may show the old one.
_ASSET_HEADERS = {"Cache-Control": "public, max-age=3600"}
_ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
# Without `validatorUrl: null` Swagger UI sends the document to a validator on the internet.
_START = """\
window.addEventListener("load", () => {
  SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#docs",
    deepLinking: true,
    validatorUrl: null,
  });
});
"""
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" type="image/png" href="/docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<script src="/docs/assets/swagger-ui-bundle.js" defer></script>
<script src="/docs/assets/start.js" defer></script>
</head>
<body>
<main id="docs"></main>
<noscript>The document itself is <a href="/openapi.json">/openapi.json</a>.</noscript>
</body>
</html>
"""
_PROBLEMS = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Problems</title></head>
<body>
<h1>Problems</h1>
<p>Errors are <code>application/problem+json</code> (RFC 9457).
Programs go by <code>code</code>.</p>
<table>
<tr align="left"><th>code</th><th>status</th><th>meaning</th><th>what to do</th></tr>
{rows}
</table>
</body>
</html>
"""


class _Page(OpenAPIRenderPlugin):
    """The page at the root of Litestar's router for documentation."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(
        self,
        request: Request[Any, Any, Any],  # noqa: ARG002 - the name is Litestar's
        openapi_schema: dict[str, Any],
    ) -> bytes:
        return _PAGE.format(title=escape(openapi_schema["info"]["title"])).encode()

    def has_path(self, path: str) -> bool:
        """Claim the document too: Litestar would serve its own, which lacks the problems."""
        return path in {"/", "/openapi.json"}


def openapi_config(*, title: str, version: str, description: str) -> OpenAPIConfig:
    """Configure Litestar to show the document at /docs; register `routes` beside it."""
    docs = Router(
        "/docs",
        route_handlers=[get_asset],
        include_in_schema=False,
        response_headers={"Content-Security-Policy": _PAGE_POLICY},
        after_request=_refuse_unknown,
    )
    bearer = SecurityScheme(type="http", scheme="bearer", description=_BEARER)
    return OpenAPIConfig(
        title=title,
        version=version,
        description=description,
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        components=Components(security_schemes={"bearer": bearer}),
        use_handler_docstrings=True,
        openapi_router=docs,
        render_plugins=[_Page()],
    )


async def _refuse_unknown(response: Response[Any]) -> Response[Any]:
    """Litestar adds a page of its own for paths it does not know here; ours are problems."""
    if response.status_code == NotFoundException.status_code:
        raise NotFoundException
    return response


@get("/assets/{name:str}")
async def get_asset(name: FromPath[str]) -> Response[Any]:
    """Serve what the page is made of, out of the installed package."""
    if name == "start.js":
        return Response(_START, media_type="text/javascript", headers=_ASSET_HEADERS)
    if name not in _ASSETS:
        raise NotFoundException
    return File(
        _static() / name,
        filename=name,
        media_type=_ASSETS[name],
        content_disposition_type="inline",
        headers=_ASSET_HEADERS,
    )


@lru_cache(maxsize=1)
def _static() -> Path:
    spec = find_spec("swagger_ui")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("The docs page is in swagger-ui-py: install it.")
    return Path(spec.submodule_search_locations[0]) / "static"


@get("/openapi.json", include_in_schema=False)
async def get_document(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Serve the OpenAPI document."""
    return Response(_document(request.app), media_type="application/json")


@lru_cache(maxsize=1)
def _document(app: Litestar) -> bytes:
    document = completed(app.openapi_schema.to_schema(), POLICIES)
    versions.mark(document, versions.ENDINGS)
    return encode_json(document)


@get("/problems", include_in_schema=False)
async def list_problems() -> Response[str]:
    """Show every code an error may carry."""
    return _problems(*KINDS)


@get("/problems/{code:str}", include_in_schema=False)
async def get_problem(code: FromPath[str]) -> Response[str]:
    """Show one code; the `type` of a problem leads here."""
    if code not in KINDS:
        raise NotFound("There is no such problem.")
    return _problems(code)


def _problems(*codes: str) -> Response[str]:
    rows = [
        "<tr>"
        + "".join(f"<td>{escape(str(cell))}</td>" for cell in (code, k.status, k.title, k.remedy))
        + "</tr>"
        for code, k in ((code, KINDS[code]) for code in codes)
    ]
    return Response(_PROBLEMS.format(rows="\n".join(rows)), media_type="text/html")


routes = (get_document, list_problems, get_problem)
