"""Exports over HTTP: the catalogue as a file that an import takes in again."""

import asyncio
import csv
import io
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from litestar import Router, get
from litestar.datastructures import State
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import QueryParameter
from litestar.response import Stream

from api.authentication import Asked
from db import catalogue_export
from db.engine import Busy, Database, reading
from domain.catalogue_line import ProductPart, VariantPart

# A snapshot that is kept keeps Postgres from cleaning up; 100,000 lines take some ten seconds.
EXPORT_TIMEOUT_S = 300.0

_PARTS: dict[str, type[msgspec.Struct]] = {"product": ProductPart, "variant": VariantPart}
COLUMNS = (
    *(f"{part}.{name}" for part, of in _PARTS.items() for name in of.__struct_fields__),
    "prices",
)
Encode = Callable[[Sequence[str]], bytes]


class FileFormat(StrEnum):
    """How lines are written."""

    JSONL = "jsonl"
    CSV = "csv"


_MEDIA_TYPES = {
    FileFormat.JSONL: "application/x-ndjson",
    FileFormat.CSV: "text/csv; header=present",
}


@dataclass
class _Download(Operation):
    """The operation as the API's document shows it: with a file of either kind as its answer."""

    def __post_init__(self) -> None:
        file = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))
        lines = OpenAPIResponse(
            "The whole file.",
            content={kind.partition(";")[0]: file for kind in _MEDIA_TYPES.values()},
        )
        self.responses = (self.responses or {}) | {"200": lines}


@get("/products", operation_class=_Download)
async def export_products(
    request: Asked,
    state: State,
    format_: Annotated[
        FileFormat, QueryParameter(name="format", description="jsonl or csv")
    ] = FileFormat.JSONL,
) -> Stream:
    """Stream the whole catalogue as it is now: a line for each variant, with product and prices.

    Who does not read on for some seconds is cut off: a file without an end is not whole.
    """
    del request
    if state.exporting.locked():
        raise Busy("Another export is under way: ask again once it is through.")
    lines = _lines(state.database, state.exporting, format_)
    # What fails at once is answered as a problem, and not by a file that ends early.
    first = await anext(lines)
    return Stream(
        _chain(first, lines),
        media_type=_MEDIA_TYPES[format_],
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="products.{format_}"',
        },
    )


async def _lines(
    database: Database, exporting: asyncio.Lock, form: FileFormat
) -> AsyncGenerator[bytes]:
    head, encode = _FORMS[form]
    async with exporting, reading(database, timeout_s=EXPORT_TIMEOUT_S) as tx:
        yield head
        async for batch in catalogue_export.batches(tx):
            yield encode(batch)


async def _chain(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    try:
        yield first
        async for chunk in rest:
            yield chunk
    finally:
        # Whoever hangs up gives the connection to Postgres back now.
        await rest.aclose()


def _jsonl(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _csv(lines: Sequence[str]) -> bytes:
    return _rows(_row(msgspec.json.decode(line)) for line in lines)


def _rows(rows: Iterable[Iterable[str]]) -> bytes:
    """Write rows as RFC 4180 has them."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _row(line: dict[str, Any]) -> Iterable[str]:
    return (_cell(line, column) for column in COLUMNS)


def _cell(line: dict[str, Any], column: str) -> str:
    part, _, name = column.partition(".")
    value = line.get(part, {}).get(name) if name else line.get(part)
    match value:
        case None:
            return ""
        case str():
            return value
        case _:
            return msgspec.json.encode(value).decode()


_FORMS: Mapping[FileFormat, tuple[bytes, Encode]] = {
    FileFormat.JSONL: (b"", _jsonl),
    FileFormat.CSV: (_rows([COLUMNS]), _csv),
}

router = Router("/v1/exports", route_handlers=[export_products], tags=["catalogue"])
