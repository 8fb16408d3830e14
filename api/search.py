"""Searching the catalogue over HTTP, for everybody."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter

from api import pages
from api.fields import CurrencyInQuery, SlugInQuery
from api.problems import InvalidCursor, InvalidRequest
from domain.money import AMOUNT_MINOR_MAX
from domain.search import (
    ATTRIBUTES_MAX,
    TEXT_CHARS_MAX,
    Engine,
    Facets,
    Hit,
    Place,
    Sort,
    Wanted,
)

# All values of all attributes that are filtered by.
_VALUES_MAX = 50
_ATTRIBUTE_CHARS_MAX = 251
# A name of two hundred characters, each the longest there is, and an id.
_CURSOR_CHARS_MAX = 1_500
# The end of the year 9999, in microseconds: beyond, no moment can be read.
_MICROSECONDS_MAX = 253_402_300_799_000_000
# What does not change which list it is.
_NOT_OF_THE_LIST = {"cursor", "limit", "facets"}


class SearchPage(msgspec.Struct, frozen=True):
    """A part of what was found; the Link header leads to the next one.

    `corrected` is what the text was taken for, if nothing has it as it is written. `every_word`
    is false if nothing has all of its words, and these have some. The total is counted, or, if
    not `total_exact`, estimated. Facets come with the first page.
    """

    total: int
    total_exact: bool
    corrected: str | None
    every_word: bool
    products: Sequence[Hit]
    facets: Facets | None


def provide_wanted(  # noqa: PLR0913, PLR0917 - one parameter per filter
    q: Annotated[str | None, QueryParameter(max_length=TEXT_CHARS_MAX)] = None,
    category: SlugInQuery = None,
    currency: CurrencyInQuery = None,
    price_min_minor: Annotated[int | None, QueryParameter(ge=0, le=AMOUNT_MINOR_MAX)] = None,
    price_max_minor: Annotated[int | None, QueryParameter(ge=0, le=AMOUNT_MINOR_MAX)] = None,
    available: Annotated[bool | None, QueryParameter()] = None,
    rating_min: Annotated[int | None, QueryParameter(ge=1, le=5)] = None,
    attribute: Annotated[list[str] | None, QueryParameter(max_items=_VALUES_MAX)] = None,
    sort: Annotated[Sort, QueryParameter()] = Sort.RELEVANCE,
) -> Wanted:
    """Read what is searched for; raises InvalidRequest for what makes no sense together."""
    wanted = Wanted(
        text=q,
        category=category,
        currency=currency,
        price_from_minor=price_min_minor,
        price_to_minor=price_max_minor,
        available=available,
        rating_from=rating_min,
        attributes=_attributes(attribute or ()),
        sort=sort,
    )
    _refuse_nonsense(wanted)
    return wanted


@get("", dependencies={"wanted": Provide(provide_wanted, sync_to_thread=False)})
async def search(  # noqa: PLR0913, PLR0917 - what is searched for, and which part of it
    request: Request[Any, Any, Any],
    state: State,
    wanted: NamedDependency[Wanted],
    facets: Annotated[bool | None, QueryParameter()] = None,
    cursor: Annotated[str | None, QueryParameter(max_length=_CURSOR_CHARS_MAX)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
) -> Response[SearchPage]:
    """Search the products that are for everybody to see.

    Words are found in other forms, the last one as it is being typed, and with a slip or two. A
    SKU or barcode finds its product. `attribute` is `name:value`; give it several times for other
    values, and for other attributes. Prices are in `currency`, the lowest of the variants today.
    """
    of = _list_of(request)
    after = None if cursor is None else _read_place(cursor, wanted.order, of)
    engine: Engine = state.search
    counted = cursor is None if facets is None else facets
    found = await engine.search(wanted, after=after, limit=limit, facets=counted)
    headers = {}
    if found.next is not None:
        headers = pages.link_to(request, pages.encode_place(found.next, of=of))
    page = SearchPage(
        total=found.total,
        total_exact=found.exact,
        corrected=found.corrected,
        every_word=found.every_word,
        products=found.hits,
        facets=found.facets,
    )
    return Response(page, headers=headers)


def _attributes(given: Sequence[str]) -> dict[str, list[str]]:
    """Read `name:value`; raises InvalidRequest for anything else, and for too many names."""
    wanted: dict[str, list[str]] = {}
    for one in given:
        name, _, value = one.partition(":")
        if not name or not value or len(one) > _ATTRIBUTE_CHARS_MAX:
            raise InvalidRequest("Send a name and a value, e.g. colour:red.", field="attribute")
        wanted.setdefault(name, []).append(value)
    if len(wanted) > ATTRIBUTES_MAX:
        raise InvalidRequest(
            f"Too many: filter by at most {ATTRIBUTES_MAX} attributes.", field="attribute"
        )
    return wanted


def _refuse_nonsense(wanted: Wanted) -> None:
    least, most = wanted.price_from_minor, wanted.price_to_minor
    by_price = wanted.order in {Sort.PRICE, Sort.PRICE_DOWN}
    if wanted.currency is None and (by_price or least is not None or most is not None):
        raise InvalidRequest("Say in which currency prices are, e.g. GBP.", field="currency")
    if least is not None and most is not None and least > most:
        raise InvalidRequest("It is below price_min_minor: swap them.", field="price_max_minor")


def _list_of(request: Request[Any, Any, Any]) -> bytes:
    """Name the list that a request wants a part of, as its cursors are good for no other."""
    query = sorted(p for p in request.query_params.multi_items() if p[0] not in _NOT_OF_THE_LIST)
    return msgspec.json.encode(query)


def _read_place(cursor: str, order: Sort, of: bytes) -> Place:
    place = pages.decode_place(cursor, Place, of=of)
    if order is Sort.NAME:
        fits = isinstance(place.key, str) and "\0" not in place.key
    else:
        most = _MICROSECONDS_MAX if order is Sort.NEWEST else pages.NUMBER_MAX
        fits = isinstance(place.key, int) and -1 <= place.key <= most
    if not fits:
        raise InvalidCursor("The cursor is of another list.", field="cursor")
    return place


router = Router("/v1/search", route_handlers=[search], tags=["catalogue"])
