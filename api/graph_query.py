"""A query and its answer, as they pass between HTTP and what carries queries out."""

from collections.abc import Mapping
from typing import Any

import msgspec


class Query(msgspec.Struct, frozen=True):
    """What is to be carried out, and whether for somebody who sees no more than the public."""

    text: str
    variables: Mapping[str, Any]
    operation: str | None
    public: bool


class Answered(msgspec.Struct, frozen=True):
    """The answer in JSON, and whether the query was carried out at all."""

    body: bytes
    carried_out: bool
