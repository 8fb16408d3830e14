"""A file of invoices becomes orders and a catalogue, and whatever is of no use is refused."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from api.orders import LINES_MAX, QUANTITY_MAX
from ops.local import countries
from ops.local.entries import REASONS, email, sku
from ops.local.invoices import COLUMNS, FileUnusable, Sales, load

HEADER = ",".join(COLUMNS)
LINE = {
    "InvoiceNo": "536365",
    "StockCode": "85123A",
    "Description": "WHITE HEART",
    "Quantity": "6",
    "InvoiceDate": "2010-12-01 08:26:00",
    "UnitPrice": "2.55",
    "CustomerID": "17850.0",
    "Country": "United Kingdom",
}


def a_line(**cells: str) -> str:
    return ",".join((LINE | cells).values())


def sales(tmp_path: Path, *lines: str, header: str = HEADER) -> Sales:
    file = tmp_path / "invoices.csv"
    file.write_bytes("\r\n".join([header, *lines]).encode("utf-8", errors="surrogateescape"))
    return load(file)


def reasons(found: Sales) -> Sequence[str]:
    return [refusal.reason for refusal in found.refused_lines]


def test_lines_of_an_invoice_become_one_order_with_each_code_once(tmp_path: Path) -> None:
    found = sales(
        tmp_path,
        a_line(),
        a_line(StockCode="71053", Quantity="2"),
        a_line(InvoiceNo="536366", InvoiceDate="2010-12-01T08:28"),
        a_line(Quantity="4", InvoiceDate="2010-12-01 08:25:00"),
    )

    first, second = found.invoices
    assert first.quantities == {"85123A": 10, "71053": 2}
    assert (first.number, first.customer, first.country) == ("536365", "17850", "United Kingdom")
    assert first.at == datetime(2010, 12, 1, 8, 25)  # noqa: DTZ001 - the file names no zone
    assert second.quantities == {"85123A": 6}
    assert found.refused_lines == []


def test_products_have_their_commonest_price_first_name_and_all_that_is_sold(
    tmp_path: Path,
) -> None:
    found = sales(
        tmp_path,
        a_line(UnitPrice="5.91", Description=""),
        a_line(UnitPrice="2.55", InvoiceNo="536366", Description=" WHITE\tHEART "),
        a_line(UnitPrice="2.55", InvoiceNo="536367", Description="other"),
        a_line(InvoiceNo="C536368", Quantity="-6"),
    )

    [article] = found.articles
    assert (article.sku, article.name) == ("85123A", "WHITE HEART")
    assert (article.price_minor, article.sold) == (255, 18)


def test_prices_equally_common_leave_it_to_the_first(tmp_path: Path) -> None:
    found = sales(tmp_path, a_line(UnitPrice="5.905"), a_line(UnitPrice="2.55"))

    assert found.articles[0].price_minor == 591


def test_a_product_nobody_described_is_called_by_its_sku(tmp_path: Path) -> None:
    assert sales(tmp_path, a_line(Description="nan")).articles[0].name == "85123A"


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"InvoiceNo": " "}, "invoice_missing"),
        ({"StockCode": ""}, "code_missing"),
        ({"Quantity": "six"}, "quantity_malformed"),
        ({"Quantity": "1.5"}, "quantity_malformed"),
        ({"Quantity": "nan"}, "quantity_malformed"),
        ({"Quantity": "1_0"}, "quantity_malformed"),
        ({"Quantity": "1e999999999"}, "quantity_malformed"),
        ({"Quantity": "٣"}, "quantity_malformed"),
        ({"UnitPrice": ""}, "price_malformed"),
        ({"UnitPrice": "£2.55"}, "price_malformed"),
        ({"UnitPrice": "inf"}, "price_malformed"),
        ({"InvoiceDate": "yesterday"}, "date_malformed"),
        ({"InvoiceDate": "2010-13-01 08:26:00"}, "date_malformed"),
        ({"Quantity": "0"}, "quantity_not_positive"),
        ({"Quantity": "-1"}, "quantity_not_positive"),
        ({"InvoiceNo": "C536365"}, "quantity_not_negative"),
        ({"UnitPrice": "0.0"}, "price_not_positive"),
        ({"UnitPrice": "-11062.06"}, "price_not_positive"),
        ({"UnitPrice": "0.001"}, "price_not_positive"),
        ({"Quantity": str(QUANTITY_MAX + 1)}, "quantity_too_large"),
        ({"UnitPrice": "1000000"}, "price_too_large"),
        ({"Description": "A HEART, WHITE"}, "unreadable"),
        ({"Description": '"WHITE HEART'}, "unreadable"),
    ],
)
def test_a_useless_line_is_refused_and_its_neighbours_are_not(
    tmp_path: Path, cells: dict[str, str], reason: str
) -> None:
    found = sales(tmp_path, a_line(**cells), a_line(InvoiceNo="536366", StockCode="71053"))

    [refusal] = found.refused_lines
    assert (refusal.line, refusal.reason) == (2, reason)
    assert reason in REASONS
    assert found.invoices[-1].quantities == {"71053": 6}


def test_an_invoice_without_a_usable_line_is_refused_for_the_reason_most_of_them_have(
    tmp_path: Path,
) -> None:
    found = sales(
        tmp_path, a_line(Quantity="-1"), a_line(UnitPrice="0"), a_line(UnitPrice="0", Quantity="2")
    )

    [invoice] = found.invoices
    assert (invoice.refused, invoice.at, invoice.quantities) == ("price_not_positive", None, {})
    assert found.articles == []


def test_lines_of_one_code_that_are_too_many_together_are_refused(tmp_path: Path) -> None:
    half = str(QUANTITY_MAX // 2 + 1)

    found = sales(tmp_path, a_line(Quantity=half), a_line(StockCode="71053"), a_line(Quantity=half))

    assert found.invoices[0].quantities == {"71053": 6}
    assert [(r.line, r.reason) for r in found.refused_lines] == [
        (2, "quantity_too_large"),
        (4, "quantity_too_large"),
    ]


def test_an_invoice_of_more_codes_than_an_order_has_lines_is_refused(tmp_path: Path) -> None:
    lines = [a_line(StockCode=f"C{n}") for n in range(LINES_MAX + 1)]

    assert sales(tmp_path, *lines).invoices[0].refused == "too_many_lines"
    assert sales(tmp_path, *lines[1:]).invoices[0].refused is None


def test_an_invoice_of_two_customers_is_refused_but_one_may_be_missing_in_a_line(
    tmp_path: Path,
) -> None:
    two = sales(tmp_path, a_line(), a_line(CustomerID="13047"))
    one = sales(tmp_path, a_line(CustomerID=""), a_line(CustomerID="13047"))

    assert two.invoices[0].refused == "customers_differ"
    assert one.invoices[0].customer == "13047"


def test_a_cancellation_has_what_came_back_as_positive_quantities(tmp_path: Path) -> None:
    found = sales(tmp_path, a_line(InvoiceNo="C536379", Quantity="-3"))

    [invoice] = found.invoices
    assert invoice.cancels
    assert invoice.quantities == {"85123A": 3}
    assert found.articles == []


def test_invoices_come_in_the_order_of_their_time(tmp_path: Path) -> None:
    found = sales(
        tmp_path,
        a_line(InvoiceNo="2", InvoiceDate="2010-12-02 09:00:00"),
        a_line(InvoiceNo="1", InvoiceDate="2010-12-01 09:00:00+02:00"),
        a_line(InvoiceNo="3", UnitPrice="0"),
    )

    assert [invoice.number for invoice in found.invoices] == ["3", "1", "2"]


def test_columns_may_come_in_any_order_case_and_company(tmp_path: Path) -> None:
    names = [*reversed(COLUMNS), "Remark"]
    header = ", ".join(name.lower() for name in names)
    row = ",".join({**LINE, "Remark": "x"}[name] for name in names)

    assert sales(tmp_path, row, header=header).invoices[0].quantities == {"85123A": 6}


def test_bytes_that_are_not_utf8_are_read_as_windows_1252(tmp_path: Path) -> None:
    file = tmp_path / "invoices.csv"
    lines = [HEADER, a_line(Description="VOUCHER £40"), a_line(StockCode="2", Description="é")]
    raw = ["\ufeff".encode() + lines[0].encode(), lines[1].encode("cp1252"), lines[2].encode()]
    file.write_bytes(b"\n".join(raw))

    found = load(file)

    assert [article.name for article in found.articles] == ["VOUCHER £40", "é"]


def test_blank_rows_are_no_lines(tmp_path: Path) -> None:
    found = sales(tmp_path, "", ",,,,,,,", a_line(), "  ", "")

    assert len(found.invoices) == 1
    assert reasons(found) == []


@pytest.mark.parametrize(
    "header",
    [HEADER, HEADER.upper(), "\ufeff" + HEADER, HEADER + ",", ",".join(reversed(COLUMNS))],
    ids=["same", "upper case", "with a mark", "one cell more", "other order"],
)
def test_a_header_in_mid_file_is_a_refused_line_of_no_invoice(tmp_path: Path, header: str) -> None:
    found = sales(tmp_path, a_line(), header, a_line(StockCode="71053"))

    [refusal] = found.refused_lines
    assert (refusal.line, refusal.invoice, refusal.reason) == (3, "", "header_repeated")
    assert refusal.reason in REASONS
    [invoice] = found.invoices
    assert invoice.quantities == {"85123A": 6, "71053": 6}


def test_a_last_line_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    found = sales(tmp_path, a_line(), a_line(StockCode="71053")[:40])

    assert [(r.line, r.invoice, r.reason) for r in found.refused_lines] == [
        (3, "536365", "unreadable")
    ]
    assert found.invoices[0].quantities == {"85123A": 6}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_lines_may_end_in_any_way(tmp_path: Path, end: str) -> None:
    file = tmp_path / "invoices.csv"
    file.write_bytes(end.join([HEADER, a_line(), a_line(StockCode="71053"), ""]).encode())

    found = load(file)

    assert found.invoices[0].quantities == {"85123A": 6, "71053": 6}
    assert found.refused_lines == []


def test_quoted_cells_may_hold_commas_and_quotes(tmp_path: Path) -> None:
    found = sales(tmp_path, a_line(Description='"A ""BIG"" HEART, WHITE"'))

    assert found.articles[0].name == 'A "BIG" HEART, WHITE'


def test_a_row_with_slipped_cells_belongs_to_an_invoice_only_if_it_names_one(
    tmp_path: Path,
) -> None:
    found = sales(tmp_path, "536400,1,2", "END OF FILE,1", "x" * 200_000)

    assert [(r.invoice, r.reason) for r in found.refused_lines] == [
        ("536400", "unreadable"),
        ("", "unreadable"),
        ("", "unreadable"),
    ]
    assert [invoice.number for invoice in found.invoices] == ["536400"]


@pytest.mark.parametrize("junk", [b"\x00\xff\xfe\x00" * 100, b"a,b\n1,2", b"\xff\xfeI\x00n\x00"])
def test_a_file_of_something_else_is_refused_with_the_columns_it_lacks(
    tmp_path: Path, junk: bytes
) -> None:
    file = tmp_path / "junk.csv"
    file.write_bytes(junk)

    with pytest.raises(FileUnusable, match=r"junk\.csv lacks InvoiceNo, .*Country"):
        load(file)


@pytest.mark.parametrize("raw", [b"", b"\r\n \n"])
def test_an_empty_file_is_refused(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "empty.csv"
    file.write_bytes(raw)

    with pytest.raises(FileUnusable, match=r"empty\.csv is empty: name a file of invoices"):
        load(file)


def test_a_column_that_is_there_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable, match="has more than one column Quantity: "):
        sales(tmp_path, a_line() + ",9", header=f"{HEADER},quantity")

    again = sales(tmp_path, a_line() + ",1,2", header=f"{HEADER},Remark,Remark")
    assert again.refused_lines == []


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable, match="lacks UnitPrice: "):
        sales(tmp_path, header=HEADER.replace("UnitPrice", "Price"))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable, match=r"none\.csv cannot be read: No such file"):
        load(tmp_path / "none.csv")
    with pytest.raises(FileUnusable, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_codes_that_cannot_be_skus_are_mapped_to_different_ones() -> None:
    codes = ["85123A", "85123a", "BANK CHARGES", "BANK-CHARGES", "BANK/CHARGES", "-", "é", "x" * 65]
    codes += ["gift_0001_40", sku("BANK CHARGES"), sku(sku("BANK CHARGES"))]

    skus = [sku(code) for code in codes]

    assert len(set(skus)) == len(codes)
    assert all(len(text) <= 64 and text.isascii() and text[0].isalnum() for text in skus)
    assert [skus[0], skus[1], skus[3], skus[8]] == [codes[0], codes[1], codes[3], codes[8]]


def test_customers_keep_their_address_and_guests_have_one_per_invoice() -> None:
    assert email("17850", "1") == email("17850", "2") == "customer-17850@retail.example"
    assert email("", "536365") == "guest-536365@retail.example"
    odd = email("a..b c" * 50, "1")
    assert len(odd.partition("@")[0]) <= 64
    assert ".." not in odd


def test_countries_have_their_code_or_the_one_for_unknown() -> None:
    assert countries.code("EIRE") == "IE"
    assert countries.code("United kingdom") == "GB"
    assert countries.code("Unspecified") == countries.UNKNOWN
