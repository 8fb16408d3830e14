from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from litestar import Litestar, get, post
from litestar.di import NamedDependency, Provide
from litestar.exceptions import ImproperlyConfiguredException
from litestar.params import FromPath, FromQuery, JSONBody, PathParameter, QueryParameter
from msgspec import Meta

from api.bounds import refuse_unbounded, unbounded

Text = Annotated[str, Meta(max_length=10)]


class Colour(Enum):
    RED = "red"


class Tree(msgspec.Struct, forbid_unknown_fields=True):
    name: Text
    children: Annotated[list["Tree"], Meta(max_length=3)] = []


class Bounded(msgspec.Struct, forbid_unknown_fields=True):
    text: Text
    number: Annotated[int, Meta(ge=0, lt=10)]
    pair: tuple[bool, Annotated[float, Meta(gt=0, le=1)]]
    colour: Colour | None
    kind: Literal["a", 1]
    at: datetime
    tree: Tree
    names: Annotated[dict[Text, UUID], Meta(max_length=5)] = {}


class Loose(msgspec.Struct):
    text: str
    count: Annotated[int | None, Meta(description="a bound on nothing")] = None
    amount: Decimal = Decimal(0)
    anything: Any = None
    names: dict[str, Text] = {}
    letters: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "GBP"
    lines: list[Annotated[int, Meta(ge=1)]] = []


def test_a_bounded_type_lacks_nothing() -> None:
    assert list(unbounded(Bounded)) == []


def test_every_place_without_a_bound_is_named() -> None:
    assert dict(unbounded(Loose)) == {
        "": "needs forbid_unknown_fields",
        ".text": "needs max_length",
        ".count": "needs ge and le",
        ".amount": "must not be Decimal: declare what may come",
        ".anything": "must not be Any: declare what may come",
        ".names": "needs max_length",
        ".names.*": "needs max_length",
        ".letters": "needs max_length",
        ".lines": "needs max_length",
        ".lines[]": "needs ge and le",
    }


async def provide_page(limit: FromQuery[int] = 50) -> int:
    return limit


@post("/loose", dependencies={"page": Provide(provide_page)})
async def post_loose(data: JSONBody[list[Text]], page: NamedDependency[int]) -> int:
    return len(data) + page


@get("/loose/{number:int}")
async def get_loose(number: FromPath[int]) -> int:
    return number


@get("/named/{name:str}")
async def get_named(name: FromPath[Text]) -> str:
    return name


@get("/bounded/{number:int}")
async def get_bounded(
    number: Annotated[int, PathParameter(ge=1, le=9)],
    name: FromQuery[str] = "",
    limit: Annotated[int | None, QueryParameter(ge=1, le=200)] = None,
) -> str:
    return f"{number}{name}{limit}"


@post("/bounded")
async def post_bounded(data: JSONBody[Bounded]) -> Bounded:
    return data


def test_an_application_that_takes_unbounded_input_does_not_start() -> None:
    app = Litestar(
        [post_loose, get_loose, get_named, get_bounded, post_bounded], openapi_config=None
    )

    with pytest.raises(ImproperlyConfiguredException) as refused:
        refuse_unbounded(app)

    assert refused.value.detail == (
        "Input without bounds: get_loose: parameter number needs ge and le; get_named: parameter "
        "name has a Meta, which Litestar ignores: use PathParameter or QueryParameter; "
        "post_loose: data needs max_length; post_loose: parameter limit needs ge and le"
    )


def test_an_application_with_bounds_starts() -> None:
    refuse_unbounded(Litestar([get_bounded, post_bounded]))
