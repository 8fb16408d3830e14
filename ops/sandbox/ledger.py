"""What the gateway's ledger says of each order, for checkers in any process."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from ops.sandbox.books import Books
from ops.sandbox.entries import Entry, PaymentIntent, decoder
from ops.sandbox.journal import whole_end
from ops.sandbox.standing import Payment

__all__ = ["FILE", "PaymentIntent", "Settlement", "entries", "settlements"]

FILE = "gateway-ledger.jsonl"


class Settlement(msgspec.Struct, kw_only=True):
    """All that happened to one order's money, in the gateway's smallest unit."""

    authorized: int = 0  # ever held or taken
    captured: int = 0
    voided: int = 0  # held and released: by request, by a final capture, or by running out
    refunded: int = 0  # save refunds that failed; pending ones count
    disputed: int = 0
    fees: int = 0
    captures: int = 0  # payments of which something was captured, in however many parts
    currencies: set[str] = msgspec.field(default_factory=set[str])  # lower case; one if all is well
    attempts: list[str] = msgspec.field(default_factory=list[str])  # of those captured payments

    @property
    def held(self) -> int:
        """What may still be captured."""
        return self.authorized - self.captured - self.voided


def entries(folder: Path) -> Iterator[Entry]:
    """Read the ledger in a sandbox's folder, as far as its lines are whole; it may be in use."""
    path = folder / FILE
    if not path.exists():
        return
    left = whole_end(path)
    with path.open("rb") as file:
        while left > 0:
            line = file.readline()
            left -= len(line)
            yield decoder.decode(line)


def settlements(folder: Path) -> dict[str, Settlement]:
    """Sum up by order id, as the caller named it when it paid; '' if it did not.

    Orders of which no money was held or taken are left out.
    """
    orders: dict[str, Settlement] = {}
    for payment in _payments(folder):
        if payment.authorized:
            _add(orders.setdefault(_order(payment), Settlement()), payment)
    return orders


def _add(order: Settlement, payment: Payment) -> None:
    order.authorized += payment.authorized
    order.captured += payment.captured
    order.voided += payment.released
    order.refunded += payment.refunded
    order.disputed += payment.disputed
    order.fees += sum(taken.fee for taken in payment.taken)
    order.currencies.add(payment.made.currency)
    if payment.captured:
        order.captures += 1
        order.attempts.append(payment.made.metadata.get("attempt_id", ""))


def _payments(folder: Path) -> Iterable[Payment]:
    books = Books()
    for entry in entries(folder):
        books.enter(entry)
    return books.payments


def _order(payment: Payment) -> str:
    """Say whose money it is: the payment knows, whatever its captures and refunds claim."""
    return payment.made.metadata.get("order_id", "")
