"""What is asked of a page, by its path and its query."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta

from domain.refusal import NotFound
from ops.dashboard.page import Misasked, Page, find

ID = "01a1fc38-e824-799d-91fa-a3621629b8c6"


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    order_id: UUID
    at: Annotated[int, Meta(ge=1, le=1000)] | None = None


async def show(_: object, __: Asked) -> Mapping[str, object]:
    return {}


PAGE = Page("/ops/orders/{order_id:uuid}", "Order", "order.html", show, Asked)


def test_path_and_query_are_read_together() -> None:
    assert PAGE.read(f"/ops/orders/{ID}", "at=7") == Asked(UUID(ID), 7)
    assert PAGE.operation == "GET /ops/orders/{order_id}"


def test_empty_field_of_a_form_is_not_given() -> None:
    assert PAGE.read(f"/ops/orders/{ID}", "at=") == Asked(UUID(ID))


@pytest.mark.parametrize(
    "query", ["at=x", "at=0", "other=1", "at=1&at=2", f"order_id={ID}", "at=%00", "at=%ff"]
)
def test_what_it_does_not_know_is_refused(query: str) -> None:
    with pytest.raises(Misasked):
        PAGE.read(f"/ops/orders/{ID}", query)


@pytest.mark.parametrize("path", ["/ops/orders", "/ops/orders/x", f"/ops/orders/{ID}/x"])
def test_other_paths_are_not_there(path: str) -> None:
    with pytest.raises(NotFound):
        find([PAGE], path).read(path, "")
