"""Conditional requests (RFC 9110 §13): an ETag per version, 304 if known, 412 if overtaken."""

import re
from typing import Any, TypeVar, cast

from litestar import Request, Response

from api.problems import InvalidRequest, PreconditionFailed

T = TypeVar("T")

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_ANY = "*"


def etag(version: int) -> str:
    """Strong entity tag of a version."""
    return f'"{version}"'


def show(request: Request[Any, Any, Any], content: T, *, version: int) -> Response[T]:
    """Answer with the content and its ETag, or with 304 if a GET names that version."""
    # It may be kept by who asked, for nothing but asking again: in a browser that two people use,
    # the tag of one is often that of the other, so what one was shown is not kept for the other.
    headers = {
        "ETag": etag(version),
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Cookie",
    }
    if request.method == "GET":
        known = _given(request, "If-None-Match")
        if known == [_ANY] or etag(version) in map(_weakened, known):
            return Response(cast("T", None), status_code=304, headers=headers)
    return Response(content, headers=headers)


def check(request: Request[Any, Any, Any], *, version: int | None) -> None:
    """Make sure that a change hits what its sender saw; the version is None if there is nothing.

    `If-Match: "3"` wants that version, `If-None-Match: *` wants nothing there yet.
    Raises PreconditionFailed.
    """
    current = [etag(version), _ANY] if version is not None else []
    wanted = _given(request, "If-Match")
    if wanted and not set(wanted) & set(current):
        raise PreconditionFailed(f"{_now(version)}, not what If-Match wants.")
    if set(map(_weakened, _given(request, "If-None-Match"))) & set(current):
        raise PreconditionFailed(f"{_now(version)}, which If-None-Match rules out.")


def _given(request: Request[Any, Any, Any], header: str) -> list[str]:
    """Entity tags of a header, or `*` alone; raises InvalidRequest if it has neither."""
    value = ", ".join(request.headers.getall(header, [])).strip()
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
