"""Pages as data: where each is, what may be asked of it, and what shows it."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.refusal import NotFound, Refusal

_PARAMETER = re.compile(r"\{(\w+):\w+\}")
# More than any page has filters.
_PARAMETERS_MAX = 30


class Misasked(Refusal):
    """The address asks for what the page does not have."""

    code: ClassVar[str] = "invalid_request"


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be asked of a page that is always the same."""


Show = Callable[[AsyncConnection, Any], Awaitable[Mapping[str, object]]]


class Page(msgspec.Struct, frozen=True, dict=True):
    """One page; `path` is written as routes are, `nav` is its word in the navigation, if any."""

    path: str
    title: str
    template: str
    show: Show
    asked: type[msgspec.Struct] = Nothing
    nav: str = ""

    @cached_property
    def operation(self) -> str:
        """Its name in the table of policies."""
        return "GET " + _PARAMETER.sub(r"{\1}", self.path)

    @cached_property
    def _form(self) -> re.Pattern[str]:
        return re.compile(_PARAMETER.sub(r"(?P<\1>[^/]+)", self.path))

    def match(self, path: str) -> Mapping[str, str] | None:
        """Read the parameters of a path; None if it is that of another page."""
        found = self._form.fullmatch(path)
        return None if found is None else found.groupdict()

    def read(self, path: str, query: str) -> msgspec.Struct:
        """Read what is asked; raises Misasked for what it does not know, NotFound for an odd id."""
        named = self.match(path)
        if named is None:
            raise NotFound("There is no such page.")
        given = dict(named)
        for name, value in _pairs(query):
            if name in given:
                raise Misasked("Given twice: send it once.", field=name)
            given[name] = value
        try:
            return msgspec.convert(
                {name: value for name, value in given.items() if value}, self.asked, strict=False
            )
        except msgspec.ValidationError as error:
            reason, _, field = str(error).partition(" - at `$.")
            if field.rstrip("`") in named:
                raise NotFound("There is no such page.") from error
            raise Misasked(f"{reason}.", field=field.rstrip("`") or None) from error


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, errors="strict", max_num_fields=_PARAMETERS_MAX
        )
    except ValueError as error:
        raise Misasked("The query is none: begin again from the page.") from error
    if any("\0" in text for pair in pairs for text in pair):
        raise Misasked("The query holds the character U+0000: remove it.")
    return pairs


def find(pages: Iterable[Page], path: str) -> Page:
    """Find the page at a path; raises NotFound."""
    for page in pages:
        if page.match(path) is not None:
            return page
    raise NotFound("There is no such page.")
