"""Imports over HTTP: a file of the catalogue sent in one request, then watched or stopped."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import MediaType, Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.exceptions import InternalServerException
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import FromPath, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, idempotency, pages
from api.authentication import Asked
from api.idempotency import Once
from api.problems import (
    ClientClosedRequest,
    InvalidRequest,
    UnsupportedContentEncoding,
    UnsupportedMediaType,
)
from db import imports
from db.engine import Database, name_commit, transaction
from db.ids import new_id
from db.imports import ImportView, LineError, NewImport
from domain.importing import FILE_BYTES_MAX, FileFormat, OnError
from ops.telemetry.faultpoint import Commit

PATH = "/v1/imports"
# What one process keeps of a file in memory at a time.
PART_BYTES = 256 * 1024

_FORMATS = {
    "application/jsonl": FileFormat.JSON_LINES,
    "application/x-ndjson": FileFormat.JSON_LINES,
    "text/csv": FileFormat.CSV,
}
_UTF_8 = {"utf-8", "utf8"}


class ImportPage(msgspec.Struct, frozen=True):
    """Imports, newest first; the Link header leads to the next page."""

    imports: list[ImportView]


class ErrorPage(msgspec.Struct, frozen=True):
    """What is wrong with which lines; the Link header leads to the next page."""

    errors: list[LineError]


class _File(msgspec.Struct, frozen=True):
    """What tells files apart: how they were sent, and the digest of what came."""

    format: FileFormat
    on_error: OnError
    dry_run: bool
    digest: str


@dataclass
class _Upload(Operation):
    """The operation as the API's document shows it: with a file for its body."""

    def __post_init__(self) -> None:
        file = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))
        self.request_body = RequestBody(content=dict.fromkeys(_FORMATS, file), required=True)


@post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    operation_class=_Upload,
    media_type=MediaType.JSON,
    dependencies=idempotency.ONCE,
    responses=idempotency.accepted(ImportView),
    request_max_body_size=FILE_BYTES_MAX,
)
async def post_import(
    request: Asked,
    once: NamedDependency[Once],
    on_error: Annotated[OnError, QueryParameter()] = OnError.REFUSE,
    dry_run: Annotated[bool, QueryParameter()] = False,  # noqa: FBT002 - it is named in the query
) -> Response[bytes]:
    """Take in a file of the catalogue: JSON Lines (`application/jsonl`) or CSV (`text/csv`).

    Its lines are those of an export, see docs/catalogue.md: 100,000 of them at most, in 128 MiB.
    Workers read them, then all become visible at once. If any line is bad nothing is changed,
    unless `on_error=skip`; `dry_run=true` only says what is bad.
    """
    file_format = _format(request)
    database: Database = request.app.state.database
    new = NewImport(new_id(), file_format, on_error, dry_run, request.user.user_id)
    try:
        size, digest = await _keep(request, database, new)

        async def act(tx: AsyncConnection) -> ImportView:
            name_commit(tx, Commit.IMPORT)
            view = await imports.start(tx, new.id, size)
            # The file is not kept: whoever has it can show that it was this one.
            file = {"bytes": size, "sha256": digest}
            facts = {**file, "on_error": on_error.value, "dry_run": dry_run}
            await audit.record(tx, request, "import.create", new.id, after=facts)
            return view

        said = _File(file_format, on_error, dry_run, digest)
        return await once.answer(new.id, said, act, location=f"{PATH}/{{id}}")
    finally:
        # What was not begun is not needed: a replay, and what was refused while it came.
        async with transaction(database) as tx:
            name_commit(tx, Commit.IMPORT)
            await imports.discard(tx, new.id)


@get("")
async def list_imports(
    request: Request[Any, Any, Any],
    tx: NamedDependency[AsyncConnection],
    cursor: Annotated[str | None, QueryParameter(max_length=200)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Response[ImportPage]:
    """List imports, newest first; those that ended are forgotten after a month."""
    before = None if cursor is None else pages.decode(cursor)
    found = await imports.page(tx, before=before, limit=limit + 1)
    shown = found[:limit]
    headers = pages.link(request, shown[-1].id) if len(found) > limit else {}
    return Response(ImportPage(shown), headers=headers)


@get("/{import_id:uuid}")
async def get_import(tx: NamedDependency[AsyncConnection], import_id: FromPath[UUID]) -> ImportView:
    """Read an import, and how far it is."""
    return await imports.get(tx, import_id)


@get("/{import_id:uuid}/errors")
async def list_import_errors(
    request: Request[Any, Any, Any],
    tx: NamedDependency[AsyncConnection],
    import_id: FromPath[UUID],
    cursor: Annotated[str | None, QueryParameter(max_length=200)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> Response[ErrorPage]:
    """List what is wrong with the lines of an import, each with the first field that is."""
    after = 0 if cursor is None else pages.decode_number(cursor)
    await imports.get(tx, import_id)
    found = await imports.errors(tx, import_id, after=after, limit=limit + 1)
    shown = list(found[:limit])
    headers = pages.link(request, UUID(int=shown[-1].line)) if len(found) > limit else {}
    return Response(ErrorPage(shown), headers=headers)


@post("/{import_id:uuid}/cancel", status_code=HTTPStatus.OK)
async def cancel_import(
    request: Asked, tx: NamedDependency[AsyncConnection], import_id: FromPath[UUID]
) -> ImportView:
    """Stop an import before it is published, so that nothing of it is; again is the same."""
    name_commit(tx, Commit.IMPORT)
    was = await imports.get(tx, import_id)
    stopped = await imports.cancel(tx, import_id)
    if was.state is not stopped.state:
        facts = {"state": was.state}, {"state": stopped.state}
        await audit.record(tx, request, "import.cancel", import_id, before=facts[0], after=facts[1])
    return stopped


def _format(request: Asked) -> FileFormat:
    """Read the Content-Type; raises UnsupportedMediaType or UnsupportedContentEncoding."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedContentEncoding(
            "Send the file as it is, without compression.", field="Content-Encoding"
        )
    media_type, options = request.content_type
    found = _FORMATS.get(media_type.lower())
    if found is None or options.get("charset", "utf-8").lower() not in _UTF_8:
        raise UnsupportedMediaType(f"Send one of {', '.join(_FORMATS)}, in UTF-8.")
    return found


async def _keep(request: Asked, database: Database, new: NewImport) -> tuple[int, str]:
    """Keep a file part by part as it comes; returns its length and digest.

    No transaction waits for its sender.
    """
    digest, place = hashlib.sha256(), 0
    async for part in _parts(request):
        digest.update(part)
        async with transaction(database) as tx:
            name_commit(tx, Commit.IMPORT)
            if not place:
                await imports.insert(tx, new)
            await imports.append(tx, new.id, place, part)
        place += len(part)
    if not place:
        raise InvalidRequest("The body is empty: send a file.")
    return place, digest.hexdigest()


async def _parts(request: Asked) -> AsyncIterator[bytes]:
    kept = bytearray()
    try:
        async for content in request.stream():
            kept += content
            while len(kept) >= PART_BYTES:
                yield bytes(kept[:PART_BYTES])
                del kept[:PART_BYTES]
    except InternalServerException as error:
        raise ClientClosedRequest("The file never ended.") from error
    if kept:
        yield bytes(kept)


router = Router(
    PATH,
    route_handlers=[post_import, list_imports, get_import, list_import_errors, cancel_import],
    tags=["catalogue"],
)
