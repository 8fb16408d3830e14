"""A request to place an order, and the decision on it: what it costs, and whether it can be."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar
from uuid import UUID

import msgspec

from db.carts import CartClaim
from db.orders import AppliedDiscount, OrderView
from domain import order
from domain.actor import Actor
from domain.address import Address
from domain.discount import Discount
from domain.mailbox import mailbox
from domain.money import Money
from domain.order import RESERVE_FOR_S, Change
from domain.payment import Capture, OnDecline
from domain.pricing import Applied, Position, Quote, refuse_unpayable
from domain.redemption import Customer, Uses
from domain.refusal import Refusal
from domain.stock import Line
from domain.tax import TaxClass
from domain.terms import Buyer, Terms, quoted, region_of
from domain.variant import Item, Offer, price


class TooManyUnpaid(Refusal):
    """A customer holds stock for as many unpaid orders as one may."""

    code: ClassVar[str] = "too_many_unpaid_orders"

    def __init__(self, *, has_account: bool) -> None:
        """Say what to do; those in the name of a guest may be a stranger's."""
        remedy = "pay or cancel some of them"
        if not has_account:
            remedy += ", or log in: orders of an account are counted by themselves"
        super().__init__(
            f"Too many orders of this customer are not paid yet: {remedy}.", field="email"
        )


class TotalChanged(Refusal):
    """The order costs something else than its customer was shown."""

    code: ClassVar[str] = "total_changed"

    def __init__(self, quote: Quote, expected_minor: int) -> None:
        """Say what it costs now."""
        super().__init__(
            f"It costs {quote.total_minor} now, and not {expected_minor}: look at it again.",
            field="expected_total_minor",
        )
        self.quote = quote


class Placement(msgspec.Struct, frozen=True):
    """A request to place an order; `scope` and `key` make it happen once."""

    order_id: UUID
    scope: str
    key: str
    fingerprint: bytes
    email: str
    currency: str
    items: Sequence[Item]
    payment_method: str
    ship_to: Address
    traceparent: str | None = None
    capture: Capture = Capture.AUTOMATIC
    on_decline: OnDecline = OnDecline.CANCEL
    reserve_for_s: int = RESERVE_FOR_S
    allow_split: bool = False
    user_id: UUID | None = None  # the account that places it, if one does
    actor: Actor | None = None
    codes: Sequence[str] = ()  # of discounts, as they are kept
    expected_total_minor: int | None = None  # what the customer was shown
    cart: CartClaim | None = None  # what is in it is ordered, whatever `items` says

    @property
    def pair(self) -> tuple[str, str]:
        """Give scope and key."""
        return self.scope, self.key

    @property
    def customer(self) -> str:
        """Give what tells customers apart: mail goes to one mailbox in whatever case.

        And by whom it is named: anybody can name the address of somebody else.
        """
        return f"{self.user_id or ''} {self.email.lower()}"

    @property
    def redeemer(self) -> Customer:
        """Give what tells customers apart who are given discounts so many times each."""
        return Customer(self.user_id, mailbox(self.email))


class Ready(msgspec.Struct, frozen=True):
    """A placement that can be accepted."""

    placement: Placement
    change: Change
    view: OrderView
    body: bytes
    applied: Sequence[Applied] = ()
    shipping_tax_ppm: int = 0


class Known(msgspec.Struct, frozen=True):
    """What placements are decided by; `terms` is None where there are none to speak of.

    Prices contain the taxes there may be if `tax_included`, also as long as there are none.
    """

    offers: Mapping[tuple[str, str], Offer]
    now: datetime
    terms: Terms | None
    uses: Uses
    tax_included: bool = False


Render = Callable[[OrderView], bytes]


def decide(placement: Placement, known: Known, render: Render) -> Ready | Refusal:
    """Price a placement and decide on it; what it takes of discounts is not counted yet."""
    try:
        lines, total = price(placement.items, known.offers, placement.currency)
        if known.terms is None:
            made = _plain(total, tax_included=known.tax_included)
        else:
            made = _quoted(placement, lines, known, known.terms)
        expected = placement.expected_total_minor
        if expected is not None and made.total_minor != expected:
            raise TotalChanged(made, expected)
    except Refusal as refusal:
        return refusal
    total = Money(made.total_minor, placement.currency)
    change = order.place(placement.order_id, lines, total, placement.traceparent)
    view = _view(placement, change, _lines(lines, made), made, known.now)
    return Ready(placement, change, view, render(view), made.applied, made.shipping_tax_ppm)


def _plain(total: Money, *, tax_included: bool) -> Quote:
    """Give what an order costs where there is nothing but goods."""
    return Quote(
        lines=(),
        applied=(),
        goods_minor=total.minor,
        discount_minor=0,
        shipping_minor=0,
        tax_minor=0,
        tax_included=tax_included,
        total_minor=total.minor,
    )


def positions_of(lines: Sequence[Line]) -> list[Position]:
    """Give lines as what is priced."""
    return [
        Position(li.sku, li.quantity, li.unit_minor, TaxClass(li.tax_class or TaxClass.STANDARD))
        for li in lines
    ]


def _quoted(placement: Placement, lines: Sequence[Line], known: Known, terms: Terms) -> Quote:
    buyer = Buyer(placement.currency, placement.codes, region_of(placement.ship_to), known.now)

    def has_room(discount: Discount) -> bool:
        return known.uses.has_room(discount, placement.redeemer)

    made, refused = quoted(terms, positions_of(lines), buyer, has_room)
    for refusal in refused.values():
        raise refusal
    refuse_unpayable(made)
    return made


def _lines(lines: Sequence[Line], made: Quote) -> tuple[Line, ...]:
    if not made.lines:
        return tuple(lines)
    return tuple(
        msgspec.structs.replace(
            line,
            discount_minor=priced.discount_minor,
            tax_minor=priced.tax_minor,
            tax_ppm=priced.tax_ppm,
        )
        for line, priced in zip(lines, made.lines, strict=True)
    )


def _view(
    placement: Placement, change: Change, lines: tuple[Line, ...], made: Quote, now: datetime
) -> OrderView:
    return OrderView(
        id=placement.order_id,
        email=placement.email,
        status=change.order.status.value,
        cancel_reason=None,
        currency=placement.currency,
        total_minor=made.total_minor,
        discount_minor=made.discount_minor,
        shipping_minor=made.shipping_minor,
        tax_minor=made.tax_minor,
        tax_included=made.tax_included,
        discounts=tuple(
            AppliedDiscount(a.discount.slug, a.discount.code, a.amount_minor) for a in made.applied
        ),
        capture=placement.capture.value,
        on_decline=placement.on_decline.value,
        allow_split=placement.allow_split,
        reserved_until=None,
        expected_on=None,
        ship_to=placement.ship_to,
        version=change.order.version,
        created_at=now,
        updated_at=now,
        lines=lines,
    )
