"""A finding: something that is not as it should be, for a person to look at."""

from uuid import UUID

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """What is wrong with what; the same `kind` and `subject` is the same finding while open."""

    kind: str
    subject: str
    order_id: UUID | None
    detail: str
