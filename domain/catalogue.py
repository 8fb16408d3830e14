"""The catalogue: products in a tree of categories."""

from typing import Annotated, ClassVar

from msgspec import Meta

from domain.refusal import Refusal

# What a page of the shop is called in its address.
SLUG = r"^[a-z0-9]+(?:-[a-z0-9]+)*\Z"
SLUG_CHARS_MAX = 100
A_SLUG = "lower-case ASCII letters and digits, parted by single dashes, e.g. oak-board"
Slug = Annotated[str, Meta(pattern=SLUG, max_length=SLUG_CHARS_MAX, description=A_SLUG)]

# A tree that is deeper is a mistake, and nobody finds anything in it.
DEPTH_MAX = 10


class CategoryInUse(Refusal):
    """There is still something in the category."""

    code: ClassVar[str] = "category_in_use"


class CategoryMisplaced(Refusal):
    """The category cannot be there: below itself, or too deep."""

    code: ClassVar[str] = "category_misplaced"
