"""A catalogue and orders of our own, varied and the same at every run, and how each must end."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from random import Random

import msgspec

from domain.address import Address
from domain.event import CancelReason
from domain.status import Status
from ops.local.client import Item, NewOrder
from ops.sandbox.cards import Fault

ORDERS = 500
CURRENCY = "EUR"
LINES_MAX = 40
# More than any number of runs sells.
PLENTY = 1_000_000

PAID = Status.PAID.value
DECLINED = CancelReason.PAYMENT_DECLINED.value
OUT_OF_STOCK = CancelReason.OUT_OF_STOCK.value

_PRICES_MINOR = {
    "Stoneware mug": 1400,
    "Linen apron": 3200,
    "Oak board": 2850,
    "Wool throw": 8900,
    "Beeswax candle": 1150,
    "Enamel pot": 4600,
    "Glass carafe": 2600,
    "Jute basket": 2200,
    "Cotton towel": 1850,
    "Brass hook": 900,
    "Paper lamp": 5400,
    "Cork trivet": 695,
}
_COLOURS = ("sand", "moss", "slate", "rose", "ink")
HOT = "STONEWARE-MUG-SAND"
SOLD_OUT = "PAPER-LAMP-INK"
# Of each print, how many there are and how many orders want one.
_PRINTS = ((10, 25), (5, 12), (1, 6))
_SOLD_OUT_ORDERS = 8
_HOT_SHARE = 0.3
# Orders that are sent twice at the same time, under one key.
_DOUBLED = 20

_GOOD_CARDS = ("pm_card_visa", "pm_card_mastercard", "pm_card_amex")
_DECLINED_CARDS = (
    "pm_card_chargeDeclined",
    "pm_card_visa_chargeDeclinedInsufficientFunds",
    "pm_card_chargeDeclinedExpiredCard",
    "pm_card_chargeDeclinedProcessingError",
) * 3
# Slow ones, one turned away at first, and three whose answer is lost and has to be looked up.
LOST_ANSWER_CARD = Fault.CHARGED_THEN_RESET.value
_TROUBLED_CARDS = (
    *(f"pm_sandbox_delay_{ms}" for ms in (200, 400, 600, 800, 1000, 1200)),
    Fault.RATE_LIMITED.value,
    LOST_ANSWER_CARD,
    Fault.CHARGED_THEN_500.value,
    Fault.ERROR_500.value,
)

_FIRST = ("Ada", "Bruno", "Chloe", "Dmitri", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jonas")
_LAST = ("Almeida", "Berger", "Costa", "Dubois", "Eriksen", "Fischer", "Greco", "Horvat")
_PLACES = (
    ("12 Rue des Lilas", "Lyon", "69003", "FR"),
    ("Lindenweg 4", "Graz", "8010", "AT"),
    ("Via Verdi 31", "Parma", "43121", "IT"),
    ("Calle Mayor 8", "Burgos", "09003", "ES"),
    ("Keizersgracht 200", "Amsterdam", "1016 DW", "NL"),
)


class SampleProduct(msgspec.Struct, frozen=True):
    sku: str
    name: str
    price_minor: int
    on_hand: int


class SampleOrder(msgspec.Struct, frozen=True):
    """An order, sent `copies` times under its key, and how it must end.

    `expected` is `paid` or the reason of the cancellation. Where orders compete for a SKU of
    which there is too little, `contested` names it: it is not determined which of them win.
    """

    key: str
    order: NewOrder
    expected: str
    contested: str | None = None
    copies: int = 1


class Sample(msgspec.Struct, frozen=True):
    products: Sequence[SampleProduct]
    orders: Sequence[SampleOrder]


class _Plan(msgspec.Struct, frozen=True):
    """What is special about an order; the rest of it is left to chance."""

    expected: str = PAID
    card: str | None = None
    wants: str | None = None
    contested: bool = False


def draw(*, run: str, seed: int = 1, orders: int = ORDERS) -> Sample:
    """Make the sample; `run` tells its keys and its scarce products from those of other runs.

    Raises ValueError if there are too few orders for one of each kind.
    """
    chance = Random(seed)  # noqa: S311 - a sample is no secret
    scarce = [
        SampleProduct(f"PRINT-{n}-{run}", f"Signed print no. {n}", 12_000 * n, on_hand)
        for n, (on_hand, _) in enumerate(_PRINTS, 1)
    ]
    plans = list(_special(scarce))
    if orders < len(plans) + _DOUBLED:
        raise ValueError(f"At least {len(plans) + _DOUBLED} orders are needed.")
    ordinary = range(orders - len(plans))
    plans += [_Plan(wants=HOT if chance.random() < _HOT_SHARE else None) for _ in ordinary]
    chance.shuffle(plans)
    stable = list(_catalogue())
    usual = [product.sku for product in stable if product.sku not in {HOT, SOLD_OUT}]
    doubled = set(chance.sample(range(orders), _DOUBLED))
    drawn = [
        SampleOrder(
            key=f"sample-{run}-{n}",
            order=_order(chance, plan, usual),
            expected=plan.expected,
            contested=plan.wants if plan.contested else None,
            copies=2 if n in doubled else 1,
        )
        for n, plan in enumerate(plans)
    ]
    return Sample([*stable, *scarce], drawn)


def _catalogue() -> Iterator[SampleProduct]:
    for (kind, price_minor), colour in itertools.product(_PRICES_MINOR.items(), _COLOURS):
        sku = f"{kind} {colour}".upper().replace(" ", "-")
        on_hand = 0 if sku == SOLD_OUT else PLENTY
        yield SampleProduct(sku, f"{kind}, {colour}", price_minor, on_hand)


def _special(scarce: Sequence[SampleProduct]) -> Iterator[_Plan]:
    for card in _DECLINED_CARDS:
        yield _Plan(expected=DECLINED, card=card)
    for card in _TROUBLED_CARDS:
        yield _Plan(card=card)
    for _ in range(_SOLD_OUT_ORDERS):
        yield _Plan(expected=OUT_OF_STOCK, wants=SOLD_OUT)
    for product, (_, wanted) in zip(scarce, _PRINTS, strict=True):
        for _ in range(wanted):
            yield _Plan(wants=product.sku, contested=True)


def _order(chance: Random, plan: _Plan, usual: Sequence[str]) -> NewOrder:
    # Most orders are small; the longest have as many lines as we promise to show.
    lines = min(LINES_MAX, max(1, round(chance.lognormvariate(1.0, 1.0))))
    skus = chance.sample(usual, lines - 1 if plan.wants else lines)
    items = [Item(sku, chance.randint(1, 5)) for sku in skus]
    if plan.wants:
        items.append(Item(plan.wants, 1))
    first, last = chance.choice(_FIRST), chance.choice(_LAST)
    street, city, postcode, country = chance.choice(_PLACES)
    return NewOrder(
        email=f"{first}.{last}@example.com".lower(),
        currency=CURRENCY,
        lines=items,
        payment_method=plan.card or chance.choice(_GOOD_CARDS),
        ship_to=Address(f"{first} {last}", street, city, postcode, country),
    )


def missed(sample: Sample, ends: Mapping[str, str]) -> list[str]:
    """Say which orders did not end as they must; `ends` has by key `paid`, a reason or a status."""
    wrong = [
        f"Order {order.key} must end as {order.expected}, but is {ends[order.key]}."
        for order in sample.orders
        if order.contested is None and ends[order.key] != order.expected
    ]
    on_hand = {product.sku: product.on_hand for product in sample.products}
    for sku in sorted({order.contested for order in sample.orders if order.contested}):
        rivals = [ends[order.key] for order in sample.orders if order.contested == sku]
        wrong += _missed_by_rivals(sku, min(on_hand[sku], len(rivals)), rivals)
    return wrong


def _missed_by_rivals(sku: str, winners: int, ends: Sequence[str]) -> list[str]:
    """Say what is wrong among orders of which as many must win as there are pieces."""
    others = [end for end in ends if end not in {PAID, OUT_OF_STOCK}]
    wrong = [f"An order for {sku} must be {PAID} or {OUT_OF_STOCK}, but is {e}." for e in others]
    won = ends.count(PAID)
    if not others and won != winners:
        difference = abs(won - winners)
        wrong += [f"{winners} orders for {sku} must be paid, but {won} are."] * difference
    return wrong
