"""A line of an invoice: read from the cells of its row, or refused with the reason."""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

import msgspec

from api.orders import QUANTITY_MAX
from domain.money import AMOUNT_MINOR_MAX

# Whatever was billed at a price is for sale, postage and fees included: the customer paid for it,
# and no list in the data tells such codes from goods.
REASONS: Mapping[str, str] = {
    "unreadable": "the row has not as many cells as the header",
    "header_repeated": "the row names the columns once more",
    "invoice_missing": "InvoiceNo is empty",
    "code_missing": "StockCode is empty",
    "quantity_malformed": "Quantity is not a whole number",
    "price_malformed": "UnitPrice is not a number",
    "date_malformed": "InvoiceDate is not a date and time of ISO 8601",
    "quantity_not_positive": "nothing was sold: written off, returned or corrected",
    "quantity_not_negative": "nothing came back, though the invoice is a cancellation",
    "price_not_positive": "it was sold for nothing, or for less than half a penny",
    "quantity_too_large": f"over {QUANTITY_MAX} of one code in one invoice",
    "price_too_large": f"over {AMOUNT_MINOR_MAX} pence apiece",
    "customers_differ": "the invoice names two customers",
    "too_many_lines": "the invoice has more codes than an order may have lines",
}

_NUMBER = re.compile(r"[+-]?(?:\d{1,15}\.?\d{0,15}|\.\d{1,15})(?:[eE][+-]?\d)?", re.ASCII)
_SKU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PLAIN = re.compile(r"[A-Za-z0-9]{1,40}")
# What `_safe` puts behind text it had to change; text that ends so by itself is changed as well.
_MARK = re.compile(r"\.x[0-9a-f]{16}\Z")
_MISSING = frozenset({"nan", "none", "null"})


class Entry(msgspec.Struct, frozen=True):
    """A usable line; `quantity` is positive in cancellations, too."""

    line: int
    invoice: str
    sku: str
    name: str
    quantity: int
    at: datetime
    price_minor: int
    customer: str
    country: str


class Refusal(msgspec.Struct, frozen=True):
    """A line that is of no use; `reason` is one of `REASONS`."""

    line: int
    invoice: str
    reason: str


def cancels(invoice: str) -> bool:
    """Tell whether an invoice takes an earlier one back."""
    return invoice[:1] in {"C", "c"}


def read(line: int, cells: Mapping[str, str]) -> Entry | Refusal:
    """Read a line from its cells, named as the header names them."""
    invoice = cells["InvoiceNo"].strip()
    quantity, price = _whole(cells["Quantity"]), _number(cells["UnitPrice"])
    at = _moment(cells["InvoiceDate"])
    reason = _reason(invoice, cells["StockCode"].strip(), quantity, price)
    if reason is None and at is None:
        reason = "date_malformed"
    if reason is not None or quantity is None or price is None or at is None:
        return Refusal(line, invoice, reason or "unreadable")
    return Entry(
        line=line,
        invoice=invoice,
        sku=sku(cells["StockCode"].strip()),
        name=_text(cells["Description"]),
        quantity=abs(quantity),
        at=at,
        price_minor=_minor(price),
        customer=_text(cells["CustomerID"]).removesuffix(".0"),
        country=_text(cells["Country"]),
    )


def _reason(invoice: str, code: str, quantity: int | None, price: Decimal | None) -> str | None:
    if not invoice:
        return "invoice_missing"
    if not code:
        return "code_missing"
    if quantity is None:
        return "quantity_malformed"
    if price is None:
        return "price_malformed"
    return _wrong_quantity(quantity, cancelling=cancels(invoice)) or _wrong_price(price)


def _wrong_quantity(quantity: int, *, cancelling: bool) -> str | None:
    if cancelling and quantity >= 0:
        return "quantity_not_negative"
    if not cancelling and quantity <= 0:
        return "quantity_not_positive"
    return "quantity_too_large" if abs(quantity) > QUANTITY_MAX else None


def _wrong_price(price: Decimal) -> str | None:
    if _minor(price) <= 0:
        return "price_not_positive"
    return "price_too_large" if _minor(price) > AMOUNT_MINOR_MAX else None


def _minor(pounds: Decimal) -> int:
    return int((pounds * 100).to_integral_value(ROUND_HALF_UP))


def _number(cell: str) -> Decimal | None:
    text = cell.strip()
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def _whole(cell: str) -> int | None:
    number = _number(cell)
    return None if number is None or number % 1 else int(number)


def _moment(cell: str) -> datetime | None:
    try:
        # The file's times are local ones; should one name a zone, its wall clock counts.
        return datetime.fromisoformat(cell.strip()).replace(tzinfo=None)
    except ValueError:
        return None


def _text(cell: str) -> str:
    """Text for people: on one line, printable; empty if the cell says that it is missing."""
    text = " ".join("".join(c if c.isprintable() else " " for c in cell).split())[:200]
    return "" if text.casefold() in _MISSING else text


def sku(code: str) -> str:
    """Map a code to a SKU of ours: itself if it can be one; two codes never to the same."""
    return _safe(code, _SKU)


def email(customer: str, invoice: str) -> str:
    """Give a customer an address, who shares it with nobody; a guest has one per invoice."""
    kind, who = ("customer", customer) if customer else ("guest", invoice)
    return f"{kind}-{_safe(who, _PLAIN)}@retail.example"


def _safe(text: str, allowed: re.Pattern[str]) -> str:
    if allowed.fullmatch(text) and not _MARK.search(text):
        return text
    readable = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:30]
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"{readable or 'other'}.x{digest}"
