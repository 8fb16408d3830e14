"""Pages of a list: opaque cursors after which the next page begins, and the link to it."""

import base64
import zlib
from typing import Any, TypeVar
from urllib.parse import quote, urlencode
from uuid import UUID

import msgspec
from litestar import Request

from api.problems import InvalidCursor

Kind = TypeVar("Kind")

# A UUIDv7 begins with its time, so one id is a place in a list ordered by creation.
_ID_BYTES = 16
# Numbers are those of a bigint column.
NUMBER_MAX = 2**63 - 1
_CHECKSUM_BYTES = 4


def encode(last: UUID) -> str:
    """Make the cursor for what comes after the row with this id."""
    return base64.urlsafe_b64encode(_sealed(last.bytes)).decode().rstrip("=")


def decode(cursor: str) -> UUID:
    """Read a cursor; raises InvalidCursor unless it was made here.

    The checksum finds garbage and mix-ups. It is no secret: a forged cursor only starts the
    caller's own list elsewhere.
    """
    try:
        raw = base64.b64decode(cursor + "=", altchars=b"-_", validate=True)
    except ValueError as error:
        raise InvalidCursor("The cursor is not one of ours.", field="cursor") from error
    last = raw[:_ID_BYTES]
    # Compared as text: unused bits at its end would let two cursors mean the same.
    if len(last) < _ID_BYTES or encode(UUID(bytes=last)) != cursor:
        raise InvalidCursor("The cursor is not one of ours.", field="cursor")
    return UUID(bytes=last)


def decode_number(cursor: str) -> int:
    """Read a cursor of a list that is ordered by number; one of ids is far beyond its end."""
    place = decode(cursor).int
    if place > NUMBER_MAX:
        raise InvalidCursor("The cursor is of another list.", field="cursor")
    return place


def encode_place(place: object, *, of: bytes) -> str:
    """Make the cursor for what comes after a place in one list, and in no other one."""
    raw = msgspec.json.encode(place)
    sealed = raw + zlib.crc32(raw + of).to_bytes(_CHECKSUM_BYTES, "big")
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def decode_place(cursor: str, kind: type[Kind], *, of: bytes) -> Kind:
    """Read such a cursor; raises InvalidCursor unless it was made for this list."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        place = msgspec.json.decode(raw[:-_CHECKSUM_BYTES], type=kind)
    except ValueError as error:
        raise InvalidCursor("The cursor is not one of ours.", field="cursor") from error
    if encode_place(place, of=of) != cursor:
        raise InvalidCursor("The cursor is of another list.", field="cursor")
    return place


def _sealed(raw: bytes) -> bytes:
    return raw + zlib.crc32(raw).to_bytes(_CHECKSUM_BYTES, "big")


def link(request: Request[Any, Any, Any], last: UUID) -> dict[str, str]:
    """Headers that name the next page; the other parameters of the query stay.

    The reference is relative (RFC 8288 §3.1), so no Host header gets into it.
    """
    return link_to(request, encode(last))


def link_to(request: Request[Any, Any, Any], cursor: str) -> dict[str, str]:
    """Headers that name the next page, by a cursor that is made already."""
    return _link(request, "cursor", cursor)


def link_after(request: Request[Any, Any, Any], last: str) -> dict[str, str]:
    """Headers that name the next page of a list that goes by names, from just behind `last` on."""
    return _link(request, "after", last)


def _link(request: Request[Any, Any, Any], name: str, value: str) -> dict[str, str]:
    kept = [(k, v) for k, v in request.query_params.multi_items() if k != name]
    query = urlencode([*kept, (name, value)])
    return {"Link": f'<{quote(request.scope["path"])}?{query}>; rel="next"'}
