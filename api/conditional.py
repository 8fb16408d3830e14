"""Conditional requests (RFC 9110 §13): an ETag per version, 304 if known, 412 if overtaken."""

import hashlib
import re
from typing import Any, TypeVar, cast

import msgspec
from litestar import Request, Response

from api.problems import InvalidRequest, PreconditionFailed

T = TypeVar("T")

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_ANY = "*"
_VERSION = re.compile(r'"([1-9][0-9]{0,9})"')
_DIGEST_BYTES = 8
_PARTS = re.compile(r'-[0-9a-f]{16}"\Z')


def etag(version: int, parts: object = None) -> str:
    """Strong entity tag of a version, shown with `parts` that change without it."""
    if parts is None:
        return f'"{version}"'
    digest = hashlib.blake2b(msgspec.json.encode(parts), digest_size=_DIGEST_BYTES)
    return f'"{version}-{digest.hexdigest()}"'


def show(
    request: Request[Any, Any, Any], content: T, *, version: int, parts: object = None
) -> Response[T]:
    """Answer with the content and its ETag, or with 304 if a GET names that version.

    `parts` are those of the content that are not counted in its version, e.g. prices of now.
    """
    tag = etag(version, parts)
    # It may be kept by who asked, for nothing but asking again: in a browser that two people use,
    # the tag of one is often that of the other, so what one was shown is not kept for the other.
    headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Cookie",
    }
    if is_known(request, tag):
        return Response(cast("T", None), status_code=304, headers=headers)
    return Response(content, headers=headers)


def is_known(request: Request[Any, Any, Any], tag: str) -> bool:
    """Tell whether a GET names the tag in If-None-Match; raises InvalidRequest for another word."""
    return request.method == "GET" and names(_value(request, "If-None-Match"), tag)


def names(value: str, tag: str) -> bool:
    """Tell whether If-None-Match names a tag, strong or weak; raises InvalidRequest as above."""
    known = _tags(value, "If-None-Match")
    return known == [_ANY] or tag in map(_weakened, known)


def check(request: Request[Any, Any, Any], *, version: int | None) -> None:
    """Make sure that a change hits what its sender saw; the version is None if there is nothing.

    `If-Match: "3"` wants that version, `If-None-Match: *` wants nothing there yet.
    Raises PreconditionFailed.
    """
    current = [etag(version), _ANY] if version is not None else []
    # Whoever saw the version may change it, whatever parts were shown with it.
    wanted = [_PARTS.sub('"', tag) for tag in _given(request, "If-Match")]
    if wanted and not set(wanted) & set(current):
        raise PreconditionFailed(f"{_now(version)}, not what If-Match wants.")
    if {_PARTS.sub('"', _weakened(t)) for t in _given(request, "If-None-Match")} & set(current):
        raise PreconditionFailed(f"{_now(version)}, which If-None-Match rules out.")


def wanted_versions(request: Request[Any, Any, Any]) -> frozenset[int] | None:
    """Read the versions that If-Match wants, for who checks them later; None if any will do."""
    wanted = _given(request, "If-Match")
    if not wanted or wanted == [_ANY]:
        return None
    found = (_VERSION.fullmatch(_PARTS.sub('"', tag)) for tag in wanted)
    return frozenset(int(one[1]) for one in found if one is not None)


def _given(request: Request[Any, Any, Any], header: str) -> list[str]:
    """Entity tags of a header, or `*` alone; raises InvalidRequest if it has neither."""
    return _tags(_value(request, header), header)


def _value(request: Request[Any, Any, Any], header: str) -> str:
    return ", ".join(request.headers.getall(header, []))


def _tags(given: str, header: str) -> list[str]:
    value = given.strip()
    if value in {"", _ANY}:
        return [value] if value else []
    if not _TAGS.fullmatch(value):
        raise InvalidRequest('Send tags in quotes, e.g. "3", or *.', field=header)
    return re.findall(_TAG, value)


def _weakened(tag: str) -> str:
    """Strip the mark of weakness: If-None-Match compares weakly, If-Match does not."""
    return tag.removeprefix("W/")


def _now(version: int | None) -> str:
    return "There is nothing here" if version is None else f"It is at {etag(version)}"
