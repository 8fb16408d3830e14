"""The sample is the same at every run, as varied as promised, and knows how each order must end."""

from collections import Counter

import pytest

from ops.local import sample
from ops.local.sample import Sample, SampleOrder, draw, missed
from ops.sandbox import cards


def ends_as_expected(drawn: Sample) -> dict[str, str]:
    """A possible end of each order: of rivals the first win."""
    left = {product.sku: product.on_hand for product in drawn.products}
    ends: dict[str, str] = {}
    for order in drawn.orders:
        ends[order.key] = order.expected
        if order.contested is not None:
            left[order.contested] -= 1
            ends[order.key] = sample.PAID if left[order.contested] >= 0 else sample.OUT_OF_STOCK
    return ends


def rivals(drawn: Sample) -> list[SampleOrder]:
    """Orders that compete for the SKU that most want."""
    [(sku, _)] = Counter(o.contested for o in drawn.orders if o.contested).most_common(1)
    return [order for order in drawn.orders if order.contested == sku]


def test_the_same_seed_draws_the_same_sample_and_another_one_does_not() -> None:
    assert draw(run="a") == draw(run="a")
    assert draw(run="a").orders != draw(run="a", seed=2).orders


def test_runs_share_nothing_that_is_scarce() -> None:
    one, other = draw(run="a"), draw(run="b")

    shared = {p.sku: p.on_hand for p in one.products if p in other.products}
    assert set(shared.values()) == {0, sample.PLENTY}
    assert len(shared) == 60
    assert not {order.key for order in one.orders} & {order.key for order in other.orders}


def test_orders_are_as_varied_as_promised() -> None:
    drawn = draw(run="a")

    lines = [len(order.order.lines) for order in drawn.orders]
    hot = sum(sample.HOT in {i.sku for i in order.order.lines} for order in drawn.orders)
    used = {order.order.payment_method for order in drawn.orders}
    assert len(drawn.orders) == sample.ORDERS
    assert (min(lines), max(lines)) == (1, sample.LINES_MAX)
    assert hot > 100
    assert sum(order.copies == 2 for order in drawn.orders) == 20
    assert {cards.Fault.CHARGED_THEN_RESET, "pm_sandbox_delay_1200"} <= used
    assert all(cards.known(card) for card in used)


def test_orders_name_each_sku_of_the_catalogue_once() -> None:
    drawn = draw(run="a")

    skus = {product.sku for product in drawn.products}
    for order in drawn.orders:
        wanted = [item.sku for item in order.order.lines]
        assert len(set(wanted)) == len(wanted)
        assert set(wanted) <= skus


def test_an_order_is_declined_or_sold_out_exactly_if_its_card_or_a_sku_says_so() -> None:
    for order in draw(run="a").orders:
        declined = order.order.payment_method in cards.DECLINES
        sold_out = sample.SOLD_OUT in {item.sku for item in order.order.lines}
        assert (order.expected == sample.DECLINED) == declined
        assert (order.expected == sample.OUT_OF_STOCK) == sold_out
        # What a declined order gives back could make another one win, or not, by chance.
        assert not (order.contested and (declined or sold_out))


def test_of_contested_products_there_are_fewer_than_orders_for_one_each() -> None:
    drawn = draw(run="a")

    on_hand = {product.sku: product.on_hand for product in drawn.products}
    wanted = Counter(
        item.sku for o in drawn.orders for item in o.order.lines if item.sku.startswith("PRINT")
    )
    contested = Counter(order.contested for order in drawn.orders if order.contested)
    assert wanted == contested
    assert {sku: on_hand[sku] for sku in contested} == {
        "PRINT-1-a": 10,
        "PRINT-2-a": 5,
        "PRINT-3-a": 1,
    }
    assert all(count > on_hand[sku] for sku, count in contested.items())


def test_too_few_orders_for_one_of_each_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="At least 93 orders"):
        draw(run="a", orders=92)
    assert len(draw(run="a", orders=93).orders) == 93


def test_nothing_is_missed_if_every_order_ends_as_it_must() -> None:
    drawn = draw(run="a")

    assert missed(drawn, ends_as_expected(drawn)) == []


@pytest.mark.parametrize("expected", [sample.PAID, sample.DECLINED, sample.OUT_OF_STOCK])
def test_an_order_that_ends_otherwise_is_missed(expected: str) -> None:
    drawn = draw(run="a")
    order = next(o for o in drawn.orders if o.expected == expected and o.contested is None)

    wrong = missed(drawn, ends_as_expected(drawn) | {order.key: "reserved"})

    assert wrong == [f"Order {order.key} must end as {expected}, but is reserved."]


@pytest.mark.parametrize(("loser", "winners"), [(0, 9), (-1, 11)])
def test_one_rival_too_few_or_too_many_that_wins_is_missed(loser: int, winners: int) -> None:
    drawn = draw(run="a")
    ends = ends_as_expected(drawn)
    changed = rivals(drawn)[loser].key
    ends[changed] = sample.OUT_OF_STOCK if ends[changed] == sample.PAID else sample.PAID

    assert missed(drawn, ends) == [f"10 orders for PRINT-1-a must be paid, but {winners} are."]


def test_a_rival_that_neither_won_nor_lost_is_missed() -> None:
    drawn = draw(run="a")
    ends = ends_as_expected(drawn) | {rivals(drawn)[0].key: "payment_declined"}

    assert missed(drawn, ends) == [
        "An order for PRINT-1-a must be paid or out_of_stock, but is payment_declined."
    ]
