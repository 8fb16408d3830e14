"""Which part of a list or search is wanted, and that part of it."""

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Protocol, TypeVar

import msgspec

from ops.sandbox import forms
from ops.sandbox.forms import Rejected

LIMIT = 10
LIMIT_MAX = 100
# Far more than anybody pages through.
_OFFSET_MAX = 10**9
_TIME_MAX = 2**40
_SEARCH = re.compile(r"""metadata\[(['"])(?P<name>[^'"]+)\1\]:(['"])(?P<value>[^'"]*)\3""")
_BOUNDS: Mapping[str, Callable[[int, int], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


class Listed(Protocol):
    """What may stand in a list."""

    @property
    def id(self) -> str:
        """What a page may start after."""
        ...

    @property
    def at(self) -> int:
        """Unix time when it was made."""
        ...


_T = TypeVar("_T", bound=Listed)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """GET of a list, newest first."""

    limit: int
    starting_after: str | None
    of: str | None  # the id of that whose objects alone are wanted
    created: Mapping[str, int]  # bounds by name: gt, gte, lt, lte
    expand: frozenset[str]


class Search(msgspec.Struct, frozen=True):
    """GET of the payments that have one value in their metadata."""

    name: str
    value: str
    limit: int
    offset: int
    expand: frozenset[str]


def page(fields: dict[str, str], *, of: str = "", expandable: frozenset[str] = frozenset()) -> Page:
    """Read what part of a list is wanted; `of` names the parameter that narrows it.

    Raises Rejected for a limit or time that is none.
    """
    asked = Page(
        created={
            name: forms.integer(fields.pop(f"created[{name}]"), "created", 0, _TIME_MAX)
            for name in _BOUNDS
            if f"created[{name}]" in fields
        },
        limit=_limit(fields),
        starting_after=fields.pop("starting_after", None),
        of=fields.pop(of, None),
        expand=forms.expand(fields, expandable),
    )
    forms.nothing_left(fields)
    return asked


def search(fields: dict[str, str], expandable: frozenset[str]) -> Search:
    """Read a search: name and value of one metadata entry. Raises Rejected for any other."""
    limit = _limit(fields)
    offset = forms.integer(fields.pop("page", "0"), "page", 0, _OFFSET_MAX)
    wanted = forms.expand(fields, expandable)
    match = _SEARCH.fullmatch(fields.pop("query", ""))
    forms.nothing_left(fields)
    if match is None:
        raise Rejected("The sandbox searches only metadata['name']:'value'.", param="query")
    return Search(match["name"], match["value"], limit, offset, wanted)


def cut(
    wanted: Page, objects: Sequence[_T], position: Mapping[str, int], fits: Callable[[_T], bool]
) -> tuple[list[_T], bool]:
    """Return the wanted objects, newest first, and whether there are more."""
    end = len(objects)
    if wanted.starting_after is not None:
        if wanted.starting_after not in position:
            raise Rejected.missing("starting_after", wanted.starting_after)
        end = position[wanted.starting_after]
    older = (objects[at] for at in range(end - 1, -1, -1))
    fitting = (
        each
        for each in older
        if all(_BOUNDS[name](each.at, bound) for name, bound in wanted.created.items())
        and fits(each)
    )
    return first(fitting, wanted.limit)


def first(objects: Iterable[_T], limit: int) -> tuple[list[_T], bool]:
    """Return the first objects, and whether there are more."""
    some = list(islice(objects, limit + 1))
    return some[:limit], len(some) > limit


def _limit(fields: dict[str, str]) -> int:
    return forms.integer(fields.pop("limit", str(LIMIT)), "limit", 1, LIMIT_MAX)
