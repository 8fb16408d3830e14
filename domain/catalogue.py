"""The catalogue: what categories, products and variants are called in it."""

from typing import Annotated, ClassVar

from msgspec import Meta

from domain.refusal import Refusal

# What a page of the shop is called in its address.
SLUG = r"^[a-z0-9]+(?:-[a-z0-9]+)*\Z"
SLUG_CHARS_MAX = 100
A_SLUG = "lower-case ASCII letters and digits, parted by single dashes, e.g. oak-board"
Slug = Annotated[str, Meta(pattern=SLUG, max_length=SLUG_CHARS_MAX, description=A_SLUG)]

SKU = r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z"
SKU_CHARS_MAX = 64
A_SKU = "a SKU of ASCII letters, digits, dots, dashes and underscores, e.g. APPLE-1"
Sku = Annotated[str, Meta(pattern=SKU, max_length=SKU_CHARS_MAX, description=A_SKU)]

# A tree that is deeper is a mistake, and nobody finds anything in it.
DEPTH_MAX = 10


class CategoryInUse(Refusal):
    """There is still something in the category."""

    code: ClassVar[str] = "category_in_use"


class CategoryMisplaced(Refusal):
    """The category cannot be there: below itself, or too deep."""

    code: ClassVar[str] = "category_misplaced"
