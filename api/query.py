"""Strict parameters: what a path or query says is taken as it is written, or is refused."""

import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes
from uuid import UUID

from litestar import Litestar, Request
from litestar.handlers import BaseRouteHandler
from litestar.routes import HTTPRoute
from msgspec import inspect

from api.bounds import parameters, places
from api.problems import InvalidRequest
from domain.refusal import NotFound

# No list of ours takes a tenth of it; Litestar keeps the last 1,024 queries, parsed, in memory.
QUERY_BYTES_MAX = 4096

# The option of a route that reads its query, and refuses what it does not know, by itself.
OWN_QUERY = "own_query"

_BROKEN_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class _Form(NamedTuple):
    """What a parameter that is no plain text looks like: Litestar takes "1e1" and "null" too."""

    pattern: re.Pattern[str]
    remedy: str


_WHOLE_NUMBER = _Form(re.compile("0|-?[1-9][0-9]*"), "Send a whole number in digits, e.g. 50.")
_YES_OR_NO = _Form(re.compile("true|false"), "Send true or false.")


class _Parameter(NamedTuple):
    many: bool
    form: _Form | None

    def check(self, name: str, value: str, times: int) -> None:
        if times > 1 and not self.many:
            raise InvalidRequest("Given twice: send it once.", field=name)
        if self.form and not self.form.pattern.fullmatch(value):
            raise InvalidRequest(self.form.remedy, field=name)


async def refuse_stray_parameters(request: Request[Any, Any, Any]) -> None:
    """Refuse an unclean path or query and unknown parameters; hook it up as `before_request`.

    A misspelt parameter would silently widen a list; one given twice means two things.
    """
    scope = request.scope
    _refuse_unclean("path", scope["raw_path"].partition(b"?")[0])
    _refuse_other_spellings(scope["path_params"], scope["path"])
    if not (query := scope["query_string"]):
        return
    if len(query) > QUERY_BYTES_MAX:
        raise InvalidRequest(f"The query is too long: send at most {QUERY_BYTES_MAX} bytes.")
    _refuse_unclean("query", query)
    if scope["route_handler"].opt.get(OWN_QUERY):
        return
    known = _known(request.app, scope["route_handler"])
    given = list(request.query_params.multi_items())
    times = Counter(name for name, _ in given)
    for name, value in given:
        if name not in known:
            names = ", ".join(sorted(known)) or "none"
            raise InvalidRequest(f"No such parameter; known are: {names}.", field=name)
        known[name].check(name, value, times[name])


def _refuse_other_spellings(params: Mapping[str, object], path: str) -> None:
    """Let an id have one address: Python's UUID also reads braces, its int underscores."""
    for value in params.values():
        if isinstance(value, UUID | int) and str(value) not in path.lower().split("/"):
            raise NotFound("Write the id as it was given.")


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
def _known(app: Litestar, handler: BaseRouteHandler) -> Mapping[str, _Parameter]:
    """Find the parameters of the query that a handler and its dependencies declare."""
    types = {field.name: field.annotation for field in parameters(handler)}
    return {
        parameter.field_alias: _Parameter(parameter.is_sequence, _form(types[parameter.field_name]))
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for candidate, model in route.route_handler_map.values()
        if candidate is handler
        for parameter in model.expected_query_params
    }


def _form(declared: Any) -> _Form | None:  # noqa: ANN401 - any type a parameter may have
    for _, kind in places(declared):
        if isinstance(kind, inspect.IntType):
            return _WHOLE_NUMBER
        if isinstance(kind, inspect.BoolType):
            return _YES_OR_NO
        if isinstance(kind, inspect.EnumType):
            values = [str(member.value) for member in kind.cls]
            return _Form(
                re.compile("|".join(map(re.escape, values))), f"Send one of {', '.join(values)}."
            )
    return None
