"""Carts against a model: whatever is done to them in whatever order, they are what it says."""

from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import cart_lines, cart_views, carts
from db.cart_views import Eyes
from db.carts import Cart, Holder
from db.engine import Database, transaction
from tests.builders import put_product
from tests.staff import ADMIN

SKUS = ("APPLE", "PEAR")
OWNER = Holder(ADMIN)

_sku = st.sampled_from(SKUS)
_number = st.integers(1, 3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), _sku, _number),
        st.tuples(st.just("add"), _sku, _number),
        st.tuples(st.just("remove"), _sku, st.none()),
        st.tuples(st.just("clear"), st.none(), st.none()),
        st.tuples(st.just("price"), _sku, st.integers(1, 3)),
        st.tuples(st.just("look"), st.none(), st.none()),
        st.tuples(st.just("guest"), _sku, _number),
        st.tuples(st.just("merge"), st.none(), st.none()),
        st.tuples(st.just("guest"), _sku, _number),
        st.tuples(st.just("merge"), st.none(), st.none()),
    ),
    min_size=5,
    max_size=25,
)


class Model:
    """What a cart of an account, and that of a guest, should hold, and what was seen of them."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self.guests: dict[str, int] = {}
        self.prices: dict[str, int] = dict.fromkeys(SKUS, 100)
        self.seen: dict[str, int] = {}

    def step(self, act: str, sku: Any, number: Any) -> None:
        if act != "look":
            getattr(self, act)(sku, number)
        # What left the cart is forgotten, and so nothing is told of it when it comes back.
        self.seen = {of: minor for of, minor in self.seen.items() if of in self.lines}

    def put(self, sku: str, number: int) -> None:
        self.lines[sku] = number

    def add(self, sku: str, number: int) -> None:
        self.lines[sku] = self.lines.get(sku, 0) + number

    def remove(self, sku: str, _: None) -> None:
        self.lines.pop(sku, None)

    def clear(self, *_: None) -> None:
        self.lines.clear()

    def price(self, sku: str, number: int) -> None:
        self.prices[sku] = 100 * number

    def guest(self, sku: str, number: int) -> None:
        self.guests[sku] = number

    def merge(self, *_: None) -> None:
        for sku, number in self.guests.items():
            self.lines[sku] = max(number, self.lines.get(sku, 0))
        self.guests.clear()

    def view(self) -> dict[str, tuple[int, int, list[str]]]:
        """What is shown; from then on it is what was seen."""
        shown = {of: (many, self.prices[of], self._moved(of)) for of, many in self.lines.items()}
        self.seen = {of: self.prices[of] for of in self.lines}
        return shown

    def _moved(self, sku: str) -> list[str]:
        was, now = self.seen.get(sku, self.prices[sku]), self.prices[sku]
        return [] if was == now else ["price_up" if now > was else "price_down"]


async def act(tx: AsyncConnection, guest: list[Cart], act: str, sku: Any, number: Any) -> None:
    """Do to the carts what the model does."""
    mine, _ = await carts.open_for(tx, ADMIN, "GBP")
    cart = await carts.lock(tx, mine.id, OWNER)
    if act in {"put", "add"}:
        await getattr(cart_lines, act)(tx, cart, sku, number)
    elif act in {"remove", "clear"}:
        await cart_lines.delete(tx, cart, sku)
    elif act == "price":
        change = "UPDATE variants SET price_minor = :minor WHERE sku = :sku"
        await tx.execute(text(change), {"minor": 100 * number, "sku": sku})
    elif act == "guest":
        await cart_lines.put(tx, await a_guests(tx, guest), sku, number)
    elif act == "merge" and guest:
        brought = guest.pop()
        holder = Holder(ADMIN, brought.token_hash)
        for _ in range(2):
            assert await cart_lines.merge(tx, brought.id, holder, ADMIN) == cart.id


async def a_guests(tx: AsyncConnection, guest: list[Cart]) -> Cart:
    if not guest:
        cart_id, token = await carts.insert(tx, "GBP")
        guest.append(await carts.get(tx, cart_id, carts.holder(None, token)))
    return guest[0]


async def shown(tx: AsyncConnection) -> dict[str, Any]:
    mine, _ = await carts.open_for(tx, ADMIN, "GBP")
    view = await cart_views.show(tx, mine, Eyes(ADMIN))
    assert view.total_minor == sum(line.amount_minor for line in view.lines)
    return {line.sku: (line.quantity, line.unit_minor, [*line.changes]) for line in view.lines}


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS)
async def test_cart_is_what_was_done_to_it(
    database: Database, steps: Sequence[tuple[str, Any, Any]]
) -> None:
    model, guest = Model(), list[Cart]()
    async with transaction(database) as tx:
        await tx.execute(text("DELETE FROM carts"))
        for sku in SKUS:
            await put_product(tx, sku, price_minor=100, on_hand=1000)

        for step in steps:
            model.step(*step)
            await act(tx, guest, *step)
            if step[0] == "look":
                assert await shown(tx) == model.view()

        assert await shown(tx) == model.view()
