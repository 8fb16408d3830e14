"""The invoices of a CSV file in the columns of the Online Retail data set, as orders of ours."""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import msgspec

from api.orders import LINES_MAX, QUANTITY_MAX
from ops.local.entries import Entry, Refusal, cancels, read

COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)
_LIKE_A_NUMBER = re.compile(r"[A-Za-z]?\d{4,12}")


class FileUnusable(Exception):
    """The file cannot be replayed at all; the message says why."""


class Invoice(msgspec.Struct, frozen=True):
    """An order or, if it `cancels`, what undoes one; refused as a whole for a reason.

    A refused one has nothing in it, and one without a usable line has no time.
    """

    number: str
    cancels: bool
    at: datetime | None
    customer: str
    country: str
    quantities: Mapping[str, int]
    refused: str | None


class Article(msgspec.Struct, frozen=True):
    """A thing that was sold, at the price it had most often, and how much of it the file sells.

    `weeks` has the price that it had most often in each week, by the week's Monday.
    """

    sku: str
    name: str
    price_minor: int
    sold: int
    weeks: Mapping[date, int] = {}


class Sales(msgspec.Struct, frozen=True):
    """What a file tells: invoices in the order of their time, and lines that are of no use."""

    invoices: Sequence[Invoice]
    articles: Sequence[Article]
    refused_lines: Sequence[Refusal]


def load(path: Path) -> Sales:
    """Read a file. Raises FileUnusable if it cannot be read or lacks a column."""
    groups: dict[str, list[Entry | Refusal]] = {}
    refused: list[Refusal] = []
    for found in _lines(path):
        if isinstance(found, Refusal):
            refused.append(found)
        if found.invoice:
            groups.setdefault(found.invoice, []).append(found)
    invoices: list[Invoice] = []
    sold: list[Entry] = []
    for number, lines in groups.items():
        usable, too_many = _merged([line for line in lines if isinstance(line, Entry)])
        refused += too_many
        reasons = [line.reason for line in (*lines, *too_many) if isinstance(line, Refusal)]
        invoices.append(invoice := _invoice(number, usable, reasons))
        if invoice.refused is None and not invoice.cancels:
            sold += usable
    invoices.sort(key=lambda invoice: invoice.at or datetime.min)  # noqa: DTZ901 - all are naive
    refused.sort(key=lambda refusal: refusal.line)
    return Sales(invoices, _articles(sold), refused)


def _merged(entries: Sequence[Entry]) -> tuple[list[Entry], list[Refusal]]:
    """Take out codes of which an invoice has more than a line of an order may have."""
    totals: Counter[str] = Counter()
    for entry in entries:
        totals[entry.sku] += entry.quantity
    usable = [entry for entry in entries if totals[entry.sku] <= QUANTITY_MAX]
    others = [entry for entry in entries if totals[entry.sku] > QUANTITY_MAX]
    return usable, [Refusal(e.line, e.invoice, "quantity_too_large") for e in others]


def _invoice(number: str, entries: Sequence[Entry], reasons: Sequence[str]) -> Invoice:
    quantities: Counter[str] = Counter()
    for entry in entries:
        quantities[entry.sku] += entry.quantity
    customers = {entry.customer for entry in entries if entry.customer}
    refused = _refused(quantities, customers, reasons)
    return Invoice(
        number=number,
        cancels=cancels(number),
        at=min((entry.at for entry in entries), default=None),
        customer=min(customers, default=""),
        country=next((entry.country for entry in entries if entry.country), ""),
        quantities={} if refused else quantities,
        refused=refused,
    )


def _refused(
    quantities: Mapping[str, int], customers: set[str], reasons: Sequence[str]
) -> str | None:
    if not quantities:
        return Counter(reasons).most_common(1)[0][0]
    if len(customers) > 1:
        return "customers_differ"
    return "too_many_lines" if len(quantities) > LINES_MAX else None


def _articles(sold: Sequence[Entry]) -> list[Article]:
    """Make the catalogue; of prices that were as frequent as each other the first counts."""
    lines: dict[str, list[Entry]] = {}
    for entry in sold:
        lines.setdefault(entry.sku, []).append(entry)
    return [
        Article(
            sku=sku,
            name=next((entry.name for entry in entries if entry.name), sku),
            price_minor=Counter(entry.price_minor for entry in entries).most_common(1)[0][0],
            sold=sum(entry.quantity for entry in entries),
            weeks=_weeks(entries),
        )
        for sku, entries in lines.items()
    ]


def _weeks(entries: Sequence[Entry]) -> dict[date, int]:
    prices: dict[date, Counter[int]] = {}
    for entry in entries:
        monday = entry.at.date() - timedelta(days=entry.at.weekday())
        prices.setdefault(monday, Counter())[entry.price_minor] += 1
    return {monday: counted.most_common(1)[0][0] for monday, counted in prices.items()}


def _lines(path: Path) -> Iterator[Entry | Refusal]:
    """Read line by line, so that an open quotation spoils its own line only."""
    rows = enumerate(re.split(r"\r\n|\n|\r", _text(path)), 1)
    names = _names(_cells(next(rows)[1]))
    _check_header(path, names)
    for number, row in rows:
        cells = _cells(row)
        if set(COLUMNS) <= set(_names(cells)):
            yield Refusal(number, "", "header_repeated")
        elif any(cell.strip() for cell in cells):
            yield _line(number, names, cells)


def _names(cells: Sequence[str]) -> list[str]:
    """Read cells as a header; a byte order mark is where a file was appended to another."""
    stripped = [cell.lstrip("\ufeff").strip() for cell in cells]
    return [_COLUMN_OF.get(cell.casefold(), cell) for cell in stripped]


def _check_header(path: Path, names: Sequence[str]) -> None:
    if missing := [column for column in COLUMNS if column not in names]:
        raise FileUnusable(
            f"{path} lacks {', '.join(missing)}: its first line must name the columns "
            f"{', '.join(COLUMNS)}, in any order, with commas between them."
        )
    if doubled := [column for column in COLUMNS if names.count(column) > 1]:
        raise FileUnusable(
            f"{path} has more than one column {', '.join(doubled)}: which one counts is not known; "
            "rename the others."
        )


def _line(number: int, names: Sequence[str], cells: Sequence[str]) -> Entry | Refusal:
    if len(cells) == len(names):
        return read(number, dict(zip(names, cells, strict=True)))
    # Cells may have slipped: the invoice is believed only if it looks like one.
    at = names.index("InvoiceNo")
    claimed = cells[at].strip() if at < len(cells) else ""
    return Refusal(number, claimed if _LIKE_A_NUMBER.fullmatch(claimed) else "", "unreadable")


_COLUMN_OF = {column.casefold(): column for column in COLUMNS}


def _cells(row: str) -> list[str]:
    try:
        return next(csv.reader([row]))
    except csv.Error:
        # Longer than a field may be: no row of ours.
        return [row]


def _text(path: Path) -> str:
    """Read the file as UTF-8, with or without a mark, and bytes that are not as Windows-1252."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise FileUnusable(f"{path} cannot be read: {error.strerror}.") from error
    if not raw.strip():
        raise FileUnusable(f"{path} is empty: name a file of invoices.")
    return raw.decode("utf-8-sig", errors="windows-1252")


def _windows_1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", errors="replace"), error.end


codecs.register_error("windows-1252", _windows_1252)
