"""GraphQL over HTTP: the catalogue, read only, in the shape that who asks wants."""

import asyncio
import importlib
import re
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import MediaType, Request, Response, Router, get, post
from litestar.params import QueryParameter

from api.authentication import Asked
from api.graph_query import Query
from api.problems import InvalidRequest
from db.persisted import Persisted, digest
from domain.principal import writes_catalogue

# Queries take some hundred bytes, and their variables less.
BODY_BYTES_MAX = 64_000
QUERY_CHARS_MAX = 20_000

_ACCEPTED = "application/graphql-response+json"
_SHA256 = r"^[0-9a-f]{64}\Z"
_EXTENSIONS_CHARS_MAX = 500


class _PersistedQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    sha256: Annotated[str, msgspec.Meta(pattern=_SHA256, max_length=64)] = msgspec.field(
        name="sha256Hash"
    )


class _Extensions(msgspec.Struct, frozen=True):
    persisted: _PersistedQuery | None = msgspec.field(name="persistedQuery", default=None)


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request, as clients of GraphQL send it."""

    query: Annotated[str, msgspec.Meta(max_length=QUERY_CHARS_MAX)] | None = None
    variables: dict[str, Any] | None = None
    operation: Annotated[str, msgspec.Meta(max_length=200)] | None = msgspec.field(
        name="operationName", default=None
    )
    extensions: _Extensions | None = None


@post("", status_code=HTTPStatus.OK, include_in_schema=False, request_max_body_size=BODY_BYTES_MAX)
async def ask(request: Asked) -> Response[bytes]:
    """Answer a query, or one that was registered by its hash (Apollo's persisted queries)."""
    given: object = await request.json()
    if isinstance(given, list):
        raise InvalidRequest("One query at a time: an array of them is not taken.")
    return await _answer(request, _read(given))


@get("", include_in_schema=False)
async def ask_again(
    request: Asked,
    extensions: Annotated[str, QueryParameter(max_length=_EXTENSIONS_CHARS_MAX)],
    variables: Annotated[str | None, QueryParameter(max_length=2_000)] = None,
    operation_name: Annotated[
        str | None, QueryParameter(name="operationName", max_length=200)
    ] = None,
) -> Response[bytes]:
    """Answer a query that was registered, by its hash; others have to be sent by POST."""
    body = {
        "extensions": _json(extensions, "extensions"),
        "variables": None if variables is None else _json(variables, "variables"),
        "operationName": operation_name,
    }
    return await _answer(request, _read(body))


@get("/schema", include_in_schema=False, media_type=MediaType.TEXT)
async def get_schema() -> str:
    """Show the schema in GraphQL's own language."""
    return (await _execution()).SDL


def _json(text: str, field: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidRequest("Send JSON.", field=field) from error


def _read(given: object) -> _Body:
    try:
        return msgspec.convert(given, _Body)
    except msgspec.ValidationError as error:
        said, _, where = str(error).partition(" - at `$")
        field = re.sub(r"^\.|`$", "", where)[:200]
        raise InvalidRequest(f"{said[:200]}.", field=field or None) from error


async def _answer(request: Asked, body: _Body) -> Response[bytes]:
    persisted: Persisted = request.app.state.persisted
    wanted = body.extensions.persisted if body.extensions else None
    if body.query is None and wanted is None:
        raise InvalidRequest("Send a query, or the hash of one.", field="query")
    text = body.query
    if text is None and wanted is not None:
        text = await persisted.find(wanted.sha256)
        if text is None:
            return _refused(request, "PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")
    elif text is not None and wanted is not None and digest(text) != wanted.sha256:
        raise InvalidRequest("It is not the hash of the query.", field="extensions")
    query = Query(
        text or "", body.variables or {}, body.operation, not writes_catalogue(request.user)
    )
    execution = await _execution()
    answered = await execution.answer(request.app.state, query)
    if answered.carried_out and wanted is not None and body.query is not None:
        await persisted.put(body.query)
    return _response(request, answered.body, carried_out=answered.carried_out)


def _refused(request: Request[Any, Any, Any], message: str, code: str) -> Response[bytes]:
    error = {"message": message, "extensions": {"code": code}}
    return _response(request, msgspec.json.encode({"errors": [error]}), carried_out=True)


def _response(
    request: Request[Any, Any, Any], body: bytes, *, carried_out: bool
) -> Response[bytes]:
    """Answer in the media type of GraphQL over HTTP if it is asked for, which has a status."""
    modern = _ACCEPTED in request.headers.get("accept", "")
    status = HTTPStatus.OK if carried_out or not modern else HTTPStatus.BAD_REQUEST
    headers = {"Cache-Control": "private, no-store", "Vary": "Accept, Authorization"}
    return Response(
        body,
        status_code=status,
        headers=headers,
        media_type=_ACCEPTED if modern else MediaType.JSON,
    )


async def _execution() -> Any:  # noqa: ANN401 - a module that is not imported before
    """Import what carries queries out: 20 MB that a process without them saves."""
    return await asyncio.to_thread(importlib.import_module, "api.graph_execution")


router = Router("/graphql", route_handlers=[ask, ask_again, get_schema], tags=["catalogue"])
