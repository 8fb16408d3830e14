"""Products: what a shop shows of a thing, in one or several variants that have the SKUs."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from domain.catalogue import Slug
from domain.moment import Moment, refuse_far
from domain.refusal import Refusal
from domain.text import ON_ONE_LINE, ONE_LINE, PROSE, Prose, Text

# PostgreSQL keeps numbers of JSON exactly, other readers as floats: up to here these are the same.
NUMBER_MAX = 2**53 - 1
VARIANTS_MAX = 250
_ON_ONE_LINE = re.compile(ONE_LINE)

_STATUSES = "draft, active (public from published_at on) or archived"
_A_NAME = "lower-case ASCII letters, digits, _ and -, e.g. colour"
AttributeName = Annotated[
    str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]*\Z", max_length=50, description=_A_NAME)
]
Number = (
    Annotated[int, Meta(ge=-NUMBER_MAX, le=NUMBER_MAX)]
    | Annotated[float, Meta(ge=-NUMBER_MAX, le=NUMBER_MAX)]
)
# Beside a list, text must not have a pattern here: msgspec 0.22 then frees memory that is not its
# own. What the pattern of Text refuses, ProductContent refuses.
_Words = Annotated[str, Meta(min_length=1, max_length=200)]
AttributeValue = (
    _Words
    | Number
    | bool
    | Annotated[list[Text | Number | bool], Meta(min_length=1, max_length=50)]
)
Attributes = Annotated[dict[AttributeName, AttributeValue], Meta(max_length=50)]

# A host and a path in ASCII, as browsers send them; what is beyond it is to be percent-encoded.
_HTTPS = r"^https://[A-Za-z0-9][A-Za-z0-9.-]{0,252}(?::[0-9]{1,5})?(?:/[!#-;=?-\[\]_a-z~]*)?\Z"
ImageUrl = Annotated[
    str, Meta(pattern=_HTTPS, max_length=2000, description="an https address in ASCII")
]


Keywords = Annotated[
    str, Meta(max_length=500, pattern=PROSE, description="more words to be found by")
]


class UnknownCategory(Refusal):
    """There is no such category to be in."""

    code: ClassVar[str] = "unknown_category"


class UnknownProduct(Refusal):
    """There is no such product of which something could be a variant."""

    code: ClassVar[str] = "unknown_product"


class TooManyVariants(Refusal):
    """A product has as many variants as one may have."""

    code: ClassVar[str] = "too_many_variants"


class ProductStatus(StrEnum):
    """Who sees and buys a product; staff sees all, and may take it from any status to any."""

    DRAFT = "draft"  # nobody yet
    ACTIVE = "active"  # everybody, from `published_at` on
    ARCHIVED = "archived"  # nobody any more


class Image(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An image, which lies elsewhere; `alt` says what is to be seen."""

    url: ImageUrl
    alt: Annotated[Text | None, Meta(description="what is to be seen")] = None


class ProductContent(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """What staff says of a product, without its slug.

    An active product without `published_at` is public at once, and stays public since when it is.
    `keywords` are more words to be found by; `category` is a slug.
    """

    name: Text
    description: Prose = ""
    category: Slug | None = None
    attributes: Attributes = {}
    images: Annotated[list[Image], Meta(max_length=20)] = []
    keywords: Keywords = ""
    status: Annotated[ProductStatus, Meta(description=_STATUSES)] = ProductStatus.DRAFT
    published_at: Moment | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a moment that cannot be meant, and for text with line breaks."""
        refuse_far(published_at=self.published_at)
        for name, value in self.attributes.items():
            if isinstance(value, str) and not _ON_ONE_LINE.search(value):
                raise ValueError(f"`attributes`: Expected {ON_ONE_LINE} in attribute {name}")


class Product(msgspec.Struct, frozen=True):
    """A product as it is stored; `version` counts its changes."""

    slug: str
    name: str
    description: str
    category: str | None
    attributes: dict[str, Any]
    images: list[Image]
    keywords: str
    status: ProductStatus
    published_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime
