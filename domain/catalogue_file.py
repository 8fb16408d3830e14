"""Files of the catalogue: cut into lines while they come, each read as strictly as a request."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, cast

import msgspec
from msgspec import inspect

from domain.catalogue_line import CatalogueLine, ProductPart, VariantPart
from domain.importing import FileFormat

# Twice what a request about one product may be: in a line it is with a variant and its prices,
# and in CSV each of its quotes is there twice.
LINE_BYTES_MAX = 2_000_000
# Else Python gives up on cells of more than 131,072 characters, as many attributes have.
csv.field_size_limit(LINE_BYTES_MAX)

_BOM = b"\xef\xbb\xbf"
_QUOTE = b'"'
_PARTS: Mapping[str, type[msgspec.Struct]] = {"product": ProductPart, "variant": VariantPart}
_PRICES = "prices"
_INDEX = re.compile(r"\[[0-9]+\]")
# What msgspec says of a field that is absent or not asked for, and what to do about it.
_NAMING = {
    "Object missing required field `": "Missing: add it",
    "Object contains unknown field `": "Unknown: remove it",
}
# What it says of text that has not the form that it must have.
_ILL_FORMED = "Expected `str` matching regex"
_TEXTS = (inspect.StrType, inspect.EnumType, inspect.LiteralType, inspect.DateTimeType)
# What a spreadsheet makes of an export when it is saved.
_OF_SHEETS: Mapping[str, str] = {"TRUE": "true", "FALSE": "false"}
# A refusal may quote the input, but is no place to send all of it back.
_QUOTED_CHARS_MAX = 200


class LineRefused(Exception):
    """A line cannot be taken in; the message says why, `field` where."""

    def __init__(self, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = _quoted(detail)
        self.field = None if field is None else _quoted(field)


def _quoted(text: str) -> str:
    """Shorten what may be of the input, and leave out NUL, which Postgres keeps in no text."""
    return text[:_QUOTED_CHARS_MAX].replace("\0", "\N{REPLACEMENT CHARACTER}")


class Record(msgspec.Struct, frozen=True):
    """A line as it came, without the line feed at its end; in CSV it may go over several."""

    line: int
    raw: bytes
    end: int  # the place in the file just behind it
    next_line: int


def records(
    window: bytes, file_format: FileFormat, *, at: int, line: int, last: bool
) -> Iterator[Record]:
    """Cut a part of a file into its lines, those that are whole; all of them in the `last` part.

    The part begins at byte `at`, with line number `line`.
    """
    begin, after, lines, quotes = 0, 0, 0, 0
    while after < len(window):
        feed = window.find(b"\n", after)
        if feed < 0 and not last:
            return
        end = feed if feed >= 0 else len(window)
        quotes += window.count(_QUOTE, after, end) if file_format is FileFormat.CSV else 0
        after, lines = min(end + 1, len(window)), lines + 1
        # In quotes a line feed is text.
        if quotes % 2 and not (last and after == len(window)):
            continue
        raw = window[begin:end].removesuffix(b"\r")
        raw = raw if at + begin else raw.removeprefix(_BOM)
        yield Record(line, raw, at + after, line + lines)
        begin, line, lines, quotes = after, line + lines, 0, 0


def header(raw: bytes) -> list[str]:
    """Read the header of a CSV file; raises LineRefused for columns that there are not."""
    names = _cells(raw)
    for name in names:
        if name not in _COLUMNS:
            raise LineRefused(f"No such column: {_like(name)}", name)
        if names.count(name) > 1:
            raise LineRefused("The column is there twice: leave one.", name)
    return names


def read(raw: bytes, columns: Sequence[str] | None) -> CatalogueLine:
    """Read a line of JSON, or one of CSV under these `columns`; raises LineRefused."""
    if len(raw) > LINE_BYTES_MAX:
        raise LineRefused(f"The line is longer than {LINE_BYTES_MAX} bytes.")
    try:
        found = _decode(raw if columns is None else _as_json(_cells(raw), columns))
    except msgspec.ValidationError as error:
        raise _misfit(str(error)) from error
    except RecursionError as error:
        raise LineRefused("The JSON is nested too deep.") from error
    except ValueError as error:
        reason = str(error).removeprefix("JSON is malformed: ")
        raise LineRefused(f"The line is not JSON in UTF-8: {reason}.") from error
    named = [price.list for price in found.prices]
    if len(set(named)) < len(named):
        raise LineRefused("A list is there twice: leave one price of it.", _PRICES)
    return found


def _decode(raw: bytes) -> CatalogueLine:
    found = _decoder.decode(raw)
    _refuse_twice(raw.decode())
    return found


_decoder = msgspec.json.Decoder(CatalogueLine)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise LineRefused("Given twice: give it once.", twice)
    return found


# What readers of JSON disagree about is refused, as in requests.
_refuse_twice = json.JSONDecoder(object_pairs_hook=_unique).decode


def _like(name: str) -> str:
    """Say which columns may be meant: there are more than a refusal has room for."""
    like = get_close_matches(name[:_QUOTED_CHARS_MAX], _COLUMNS, cutoff=0.5)
    return f"is it {' or '.join(like)}?" if like else "they are named like variant.sku."


def _misfit(message: str) -> LineRefused:
    """Turn what msgspec says into a field and a remedy."""
    said, at, where = message.rpartition(" - at `")
    field = where.partition("$")[2].strip("`.") if at else ""
    said = said if at else message
    for naming, remedy in _NAMING.items():
        if said.startswith(naming):
            name = said[len(naming) : -1]
            said, field = remedy, f"{field}.{name}" if field else name
    if said.startswith("`"):
        # A struct that checks itself names the field first.
        name, _, said = said[1:].partition("`: ")
        field = f"{field}.{name}" if field else name
    if said.startswith(_ILL_FORMED):
        said = f"Expected {_FORMS.get(_INDEX.sub('[]', field), 'another form')}"
    return LineRefused(f"{said}.", field or None)


def _cells(raw: bytes) -> list[str]:
    try:
        text = raw.decode()
        [*rows] = csv.reader(io.StringIO(text, newline=""), strict=True)
    except UnicodeDecodeError as error:
        raise LineRefused("The line is not UTF-8.") from error
    except csv.Error as error:
        raise LineRefused(f"The line is not CSV of RFC 4180: {error}.") from error
    if len(rows) > 1:
        # A quote that opens no cell, or a carriage return alone: what is behind must not get lost.
        raise LineRefused(
            "The line is not CSV of RFC 4180: put cells with quotes or line breaks into quotes,"
            f" and end lines with a line feed. It and the {len(rows) - 1} behind it are left out."
        )
    return rows[0] if rows else []


def _as_json(cells: Sequence[str], columns: Sequence[str]) -> bytes:
    """Write a line of CSV as JSON; an empty cell is a field that is left out."""
    if len(cells) != len(columns):
        raise LineRefused(f"The line has {len(cells)} cells, the header {len(columns)}.")
    line: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=True):
        if not cell:
            continue
        part, _, field = column.partition(".")
        value = cell if _COLUMNS[column] else _json_cell(cell, column)
        if field:
            cast("dict[str, Any]", line.setdefault(part, {}))[field] = value
        else:
            line[part] = value
    return msgspec.json.encode(line)


def _json_cell(cell: str, column: str) -> msgspec.Raw:
    cell = _OF_SHEETS.get(cell, cell)
    try:
        msgspec.json.decode(cell)
    except ValueError as error:
        raise LineRefused("Expected a number, true, false or JSON.", column) from error
    return msgspec.Raw(cell.encode())


def _is_text(kind: inspect.Type) -> bool:
    """Tell whether a field is written as text, as names, moments and words of a list are."""
    if isinstance(kind, inspect.Metadata):
        return _is_text(kind.type)
    if isinstance(kind, inspect.UnionType):
        return any(_is_text(each) for each in kind.types)
    return isinstance(kind, _TEXTS)


def _forms(kind: inspect.Type, at: str = "") -> Iterator[tuple[str, str]]:
    """Name the places of a type with what it says of them, e.g. `variant.sku`, "a SKU"."""
    match kind:
        case inspect.Metadata():
            schema = cast("dict[str, str]", kind.extra_json_schema or {})
            yield from [(at, schema["description"])] if "description" in schema else []
            yield from _forms(kind.type, at)
        case inspect.UnionType():
            for each in kind.types:
                yield from _forms(each, at)
        case inspect.ListType():
            yield from _forms(kind.item_type, f"{at}[]")
        case inspect.DictType():
            yield from _forms(kind.value_type, f"{at}[...]")
        case inspect.StructType():
            for field in kind.fields:
                yield from _forms(field.type, f"{at}.{field.encode_name}")
        case _:
            pass


def _fields(part: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    return cast("inspect.StructType", inspect.type_info(part)).fields


# Every column there may be, and whether it is written as text.
_COLUMNS: Mapping[str, bool] = {
    f"{name}.{field.encode_name}": _is_text(field.type)
    for name, part in _PARTS.items()
    for field in _fields(part)
} | {_PRICES: False}
_FORMS = {at[1:]: form for at, form in _forms(inspect.type_info(CatalogueLine))}
