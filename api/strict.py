"""Strict bodies: what a client sends is what was asked for, or is refused with the reason."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, cast

import msgspec
from litestar import Request
from litestar.exceptions import InternalServerException

from api.bounds import places
from api.cards import refuse_card_numbers
from api.problems import (
    ClientClosedRequest,
    InvalidRequest,
    UnsupportedContentEncoding,
    UnsupportedMediaType,
)

# The option of a route into whose body a customer may type a card number.
NO_CARD_NUMBERS = "no_card_numbers"

# A refusal may quote the input, but is no place to send all of it back.
_QUOTED_CHARS_MAX = 200

_INDEX = re.compile(r"\[[0-9]+\]")
_JSON = re.compile(r"application/(?:[a-z0-9.-]+\+)?json")
_UTF_8 = {"utf-8", "utf8"}
_USUAL = {b"application/json", b"application/json; charset=utf-8"}
_PLAIN = {b"", b"identity"}
# What msgspec says of a field that is absent or not asked for, and what to do about it.
_NAMING = {
    "Object missing required field `": "Missing: add it",
    "Object contains unknown field `": "Unknown: remove it",
}
# What it says of text that has not the form, or is none of the words, that it must be.
_ILL_FORMED = ("Expected `str` matching regex", "Invalid enum value")


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
        types = list[bytes]()
        for name, value in self.scope["headers"]:
            if name == b"content-type":
                types.append(value)
            elif name == b"content-encoding" and value.lower() not in _PLAIN:
                raise UnsupportedContentEncoding(
                    "Send the body as it is, without compression.", field="Content-Encoding"
                )
        if len(types) > 1:
            raise UnsupportedMediaType("Send it once.", field="Content-Type")
        if not types or types[0] not in _USUAL:
            _refuse_other_than_json(*self.content_type)
        data = self.route_handler.parsed_data_field
        body = await self.body()
        if self.route_handler.opt.get(NO_CARD_NUMBERS):
            refuse_card_numbers(body)
        return decode(body, data.annotation if data else Any)


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
        raise _misfit(str(error), declared) from error
    except RecursionError as error:
        raise InvalidRequest("The JSON is nested too deep: flatten it.") from error
    except ValueError as error:
        reason = str(error).removeprefix("JSON is malformed: ")
        raise InvalidRequest(f"The body is not JSON in UTF-8: {reason}.") from error
    return decoded


@lru_cache(maxsize=256)
def _decoder(declared: Any) -> msgspec.json.Decoder[Any]:  # noqa: ANN401 - as above
    return msgspec.json.Decoder(declared)


def _misfit(message: str, declared: Any) -> InvalidRequest:  # noqa: ANN401 - as above
    """Turn what msgspec says into a field and a remedy."""
    # No regular expression here: the message may quote a megabyte that is hostile to one.
    said, at, where = message.rpartition(" - at `")
    said, field = (said, where.partition("$")[2].strip("`.")) if at else (message, "")
    for naming, remedy in _NAMING.items():
        if said.startswith(naming):
            name = said[len(naming) : -1]
            said, field = remedy, f"{field}.{name}" if field else name
    if said.startswith("`"):
        # A struct that checks itself names the field first.
        name, _, said = said[1:].partition("`: ")
        field = f"{field}.{name}" if field else name
    said, field = said[:_QUOTED_CHARS_MAX], field[:_QUOTED_CHARS_MAX]
    if said.startswith(_ILL_FORMED):
        said = f"Expected {_descriptions(declared).get(_INDEX.sub('[]', field), 'another form')}"
    return InvalidRequest(f"{said}.", field=field or None)


@lru_cache(maxsize=256)
def _descriptions(declared: Any) -> dict[str, str]:  # noqa: ANN401 - as above
    """Find what a type says of its fields, e.g. of `lines[].sku`."""
    said: dict[str, str] = {}
    for path, kind in places(declared):
        schema = cast("dict[str, str] | None", getattr(kind, "extra_json_schema", None))
        if schema and "description" in schema:
            said[path.removeprefix(".")] = schema["description"]
    return said


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
