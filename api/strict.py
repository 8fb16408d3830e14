"""Strict input: what a client sends is what was asked for, or is refused with the reason."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, cast
from urllib.parse import unquote_to_bytes

import msgspec
from litestar import Litestar, Request
from litestar.exceptions import InternalServerException
from litestar.handlers import BaseRouteHandler
from litestar.routes import HTTPRoute

from api.problems import ClientClosedRequest, InvalidRequest, UnsupportedMediaType

# No list of ours takes a tenth of it; Litestar keeps the last 1,024 queries, parsed, in memory.
QUERY_BYTES_MAX = 4096
# A refusal may quote the input, but is no place to send all of it back.
_QUOTED_CHARS_MAX = 200

_JSON = re.compile(r"application/(?:[a-z0-9.-]+\+)?json")
_UTF_8 = {"utf-8", "utf8"}
_USUAL = {b"application/json", b"application/json; charset=utf-8"}
_BROKEN_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
# What msgspec says of a field that is absent or not asked for, and what to do about it.
_NAMING = {
    "Object missing required field `": "Missing: add it",
    "Object contains unknown field `": "Unknown: remove it",
}


class StrictRequest(Request[Any, Any, Any]):
    """A request whose JSON is decoded right into the type the handler declares as `data`.

    Litestar would decode to dictionaries and convert these leniently, "5" to 5 for one.
    """

    async def body(self) -> bytes:
        """Read the body; an empty one is refused where the handler needs `data`."""
        try:
            body = await super().body()
        except InternalServerException as error:
            if "disconnected" not in error.detail:
                raise
            raise ClientClosedRequest("The body never ended.") from error
        if not body and (data := self.route_handler.parsed_data_field) and not data.is_optional:
            raise InvalidRequest("The body is empty: send a JSON document.")
        return body

    async def json(self) -> Any:  # noqa: ANN401 - it is what the handler declares
        """Read the body as the type the handler declares."""
        sent = next(
            (value for name, value in self.scope["headers"] if name == b"content-type"), b""
        )
        if sent not in _USUAL:
            _refuse_other_than_json(*self.content_type)
        data = self.route_handler.parsed_data_field
        return decode(await self.body(), data.annotation if data else Any)


def _refuse_other_than_json(media_type: str, options: dict[str, str]) -> None:
    if not _JSON.fullmatch(media_type.lower()):
        given = f"is {media_type[:_QUOTED_CHARS_MAX]}" if media_type else "is missing"
        raise UnsupportedMediaType(f"Content-Type {given}: send application/json.")
    if options.get("charset", "utf-8").lower() not in _UTF_8:
        raise UnsupportedMediaType("JSON is UTF-8: leave the charset out.")


def decode(body: bytes, declared: Any) -> Any:  # noqa: ANN401 - any type msgspec knows
    """Decode JSON to the declared type, with nothing coerced, dropped or ambiguous.

    Raises InvalidRequest that names the field at fault.
    """
    try:
        decoded = _decoder(declared).decode(body)
        _refuse_ambiguous(body.decode())
    except msgspec.ValidationError as error:
        raise _misfit(str(error)) from error
    except RecursionError as error:
        raise InvalidRequest("The JSON is nested too deep: flatten it.") from error
    except ValueError as error:
        reason = str(error).removeprefix("JSON is malformed: ")
        raise InvalidRequest(f"The body is not JSON in UTF-8: {reason}.") from error
    return decoded


@lru_cache(maxsize=256)
def _decoder(declared: Any) -> msgspec.json.Decoder[Any]:  # noqa: ANN401 - as above
    return msgspec.json.Decoder(declared)


def _misfit(message: str) -> InvalidRequest:
    """Turn what msgspec says into a field and a remedy."""
    # No regular expression here: the message may quote a megabyte that is hostile to one.
    said, at, where = message.rpartition(" - at `")
    said, field = (said, where.partition("$")[2].strip("`.")) if at else (message, "")
    for naming, remedy in _NAMING.items():
        if said.startswith(naming):
            name = said[len(naming) : -1]
            said, field = remedy, f"{field}.{name}" if field else name
    said, field = said[:_QUOTED_CHARS_MAX], field[:_QUOTED_CHARS_MAX]
    return InvalidRequest(f"{said}.", field=field or None)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0][:_QUOTED_CHARS_MAX]
        raise InvalidRequest("Given twice: send it once.", field=twice)
    return found


_parse = json.JSONDecoder(object_pairs_hook=_unique).decode


def _refuse_ambiguous(text: str) -> None:
    """Refuse what readers of JSON disagree about, and NUL, which Postgres cannot store."""
    document: object = _parse(text)
    if "\\u0000" in text and (field := next(_with_nul(document), None)) is not None:
        field = field[:_QUOTED_CHARS_MAX]
        raise InvalidRequest("Holds the character U+0000: remove it.", field=field)


def _with_nul(value: object, at: str = "") -> Iterator[str]:
    if isinstance(value, str) and "\0" in value:
        yield at
    elif isinstance(value, dict):
        for name, inner in cast("dict[str, object]", value).items():
            path = f"{at}.{name}" if at else name
            yield from _with_nul(name, path.replace("\0", "\\u0000"))
            yield from _with_nul(inner, path)
    elif isinstance(value, list):
        for index, inner in enumerate(cast("list[object]", value)):
            yield from _with_nul(inner, f"{at}[{index}]")


async def refuse_stray_parameters(request: Request[Any, Any, Any]) -> None:
    """Refuse an unclean path or query and unknown parameters; hook it up as `before_request`.

    A misspelt parameter would silently widen a list; one given twice means two things.
    """
    scope = request.scope
    _refuse_unclean("path", scope["raw_path"].partition(b"?")[0])
    if not (query := scope["query_string"]):
        return
    if len(query) > QUERY_BYTES_MAX:
        raise InvalidRequest(f"The query is too long: send at most {QUERY_BYTES_MAX} bytes.")
    _refuse_unclean("query", query)
    once, many = _query_parameters(request.app, scope["route_handler"])
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in once and name not in many:
            known = ", ".join(sorted(once | many)) or "none"
            raise InvalidRequest(f"No such parameter; known are: {known}.", field=name)
        if name in once and names.count(name) > 1:
            raise InvalidRequest("Given twice: send it once.", field=name)


def _refuse_unclean(where: str, raw: bytes) -> None:
    if b"%" not in raw and raw.isascii():
        return
    try:
        text = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The {where} is not UTF-8: percent-encode its UTF-8.") from error
    if not raw.isascii() or _BROKEN_PERCENT.search(raw):
        raise InvalidRequest(f"The {where} is not percent-encoded: encode it.")
    if "\0" in text:
        raise InvalidRequest(f"The {where} holds the character U+0000: remove it.")


@lru_cache(maxsize=1024)
def _query_parameters(
    app: Litestar, handler: BaseRouteHandler
) -> tuple[frozenset[str], frozenset[str]]:
    """Names of the parameters a handler and its dependencies declare: single, and lists."""
    declared = [
        parameter
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for candidate, model in route.route_handler_map.values()
        if candidate is handler
        for parameter in model.expected_query_params
    ]
    many = frozenset(p.field_alias for p in declared if p.is_sequence)
    return frozenset(p.field_alias for p in declared) - many, many
