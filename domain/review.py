"""Reviews of products: who may write one, when it is shown, and what it counts for."""

from enum import StrEnum
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from domain.refusal import Refusal
from domain.status import Status
from domain.text import ON_ONE_LINE, ONE_LINE

STARS_MIN, STARS_MAX = 1, 5
TITLE_CHARS_MAX, TEXT_CHARS_MAX, AUTHOR_CHARS_MAX, REASON_CHARS_MAX = 120, 5_000, 50, 500

# Who bought it has it paid for at least. What came back as a whole is `returned`, and what was
# stopped `cancelled`; one whose money was given back as a whole does not count, whatever it is.
BOUGHT = frozenset({Status.PAID, Status.SHIPPED, Status.DELIVERED})

# Of several lines, which may be empty; otherwise as text on one line.
_PROSE = (
    r"^(?=[\s\S]*\S)(?:\n|[^\u0000-\u001f\u007f-\u009f\u2028\u2029"
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069])*\Z"
)
_NO_ADDRESS = r"^(?![^@]*@)" + ONE_LINE.removeprefix("^")

Stars = Annotated[int, Meta(ge=STARS_MIN, le=STARS_MAX)]
Title = Annotated[
    str,
    Meta(min_length=1, max_length=TITLE_CHARS_MAX, pattern=ONE_LINE, description=ON_ONE_LINE),
]
Prose = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=TEXT_CHARS_MAX,
        pattern=_PROSE,
        description="text, its lines parted by \\n, without other control characters",
    ),
]
Author = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=AUTHOR_CHARS_MAX,
        pattern=_NO_ADDRESS,
        description=f"{ON_ONE_LINE}, and without an @",
    ),
]


class ReviewState(StrEnum):
    PENDING = "pending"  # waits for support to read it
    PUBLISHED = "published"  # everybody sees it, and it counts
    REJECTED = "rejected"  # its author sees it, and why


class NotBought(Refusal):
    """Only who bought the product may review it."""

    code: ClassVar[str] = "not_bought"


class Opinion(msgspec.Struct, frozen=True):
    """What an author says; without a name it is of a customer who gave none."""

    stars: int
    title: str | None
    text: str | None
    author: str | None


class Weight(msgspec.Struct, frozen=True):
    """What reviews add to the rating of their product: how many, with how many stars in all."""

    reviews: int = 0
    stars: int = 0

    def __sub__(self, other: "Weight") -> "Weight":
        """Give what takes one to the other."""
        return Weight(self.reviews - other.reviews, self.stars - other.stars)

    @property
    def average(self) -> float | None:
        """Give the stars of a review on average, to two digits; None without any.

        Halves are rounded up, as Postgres does it for search.
        """
        if not self.reviews:
            return None
        return (200 * self.stars + self.reviews) // (2 * self.reviews) / 100


def state_of_writing(was: ReviewState | None, *, moderated: bool) -> ReviewState:
    """Give the state of a review that was just written or changed; `was` is None for a new one.

    What was rejected is read again in any case, or a comma would undo what support decided.
    """
    if moderated or was is ReviewState.REJECTED:
        return ReviewState.PENDING
    return ReviewState.PUBLISHED


def weight(state: ReviewState, stars: int) -> Weight:
    """Give what a review counts for: only what everybody sees does."""
    return Weight(1, stars) if state is ReviewState.PUBLISHED else Weight()
