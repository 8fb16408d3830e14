"""Refusals: the ways the business says no, each known to the outside by a stable code."""

from typing import ClassVar


class Refusal(Exception):
    """A definite no, with a reason for a person; it is an answer and never retried.

    Refusal
    ├── NotFound            what was named does not exist, or not for the asker
    ├── Conflict            somebody else changed it first
    ├── order.*             what an order's status or content does not allow
    ├── product.*, stock.*  what the catalogue and the shelves do not allow
    └── api.problems.*      what is wrong with the HTTP request itself
    """

    code: ClassVar[str]

    def __init__(self, detail: str, *, field: str | None = None) -> None:
        """Say why; `field` is the path of the input at fault, e.g. `lines[0].sku`."""
        super().__init__(detail)
        self.detail: str = detail
        self.field: str | None = field


class NotFound(Refusal):
    """What was named does not exist, or not for the asker."""

    code: ClassVar[str] = "not_found"


class Conflict(Refusal):
    """The row changed since it was read; read again, then decide again."""

    code: ClassVar[str] = "conflict"
