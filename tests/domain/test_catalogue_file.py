"""Files of the catalogue, cut anywhere, are the lines that they are; bad lines say what is bad."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalogue_file import LINE_BYTES_MAX, LineRefused, Record, header, read, records
from domain.importing import FileFormat

CUP = {"sku": "CUP", "name": "Cup", "price_minor": 100, "currency": "GBP"}
HEADER = (
    "product.slug,product.name,product.attributes,variant.sku,variant.name,variant.price_minor,"
    "variant.currency,variant.active,prices"
)
CELLS = (
    'cup,"A ""good"" cup","{""cm"": 9}",CUP,Cup,100,GBP,false,'
    '"[{""list"":""x"",""price_minor"":1}]"'
)


def in_parts(file: bytes, file_format: FileFormat, sizes: Sequence[int]) -> list[Record]:
    """Cut a file whose parts come in these sizes, the last of them again and again."""
    found: list[Record] = []
    place, line, n = 0, 1, 0
    while place < len(file):
        size = sizes[min(n, len(sizes) - 1)]
        while True:
            window = file[place : place + size]
            last = place + size >= len(file)
            cut = list(records(window, file_format, at=place, line=line, last=last))
            if cut or last:
                break
            size *= 2
        found += cut
        place, line, n = cut[-1].end, cut[-1].next_line, n + 1
    return found


@given(
    st.lists(st.sampled_from(["a", '"b\n"', '"c""\r\n"', "", "\u00e9,e"]), min_size=1),
    st.sampled_from(FileFormat),
    st.sampled_from(["\n", "\r\n"]),
    st.lists(st.integers(1, 30), min_size=1),
    st.booleans(),
)
def test_file_is_the_same_lines_however_it_comes(
    lines: list[str],
    file_format: FileFormat,
    end: str,
    sizes: list[int],
    is_ended: bool,  # noqa: FBT001 - Hypothesis gives it
) -> None:
    file = (end.join([*lines, "z"]) + (end if is_ended else "")).encode()

    whole = list(records(file, file_format, at=0, line=1, last=True))

    assert in_parts(file, file_format, sizes) == whole
    assert whole[-1].end == len(file)
    if file_format is FileFormat.CSV:
        assert [each.raw.decode() for each in whole] == [*lines, "z"]
    else:
        assert b"\n" not in b"".join(each.raw for each in whole)
    shown = file.decode().split("\n")
    assert all(shown[each.line - 1].encode().startswith(each.raw[:1]) for each in whole)


def test_mark_at_the_beginning_of_a_file_is_none_of_its_text() -> None:
    [first, second] = records(b"\xef\xbb\xbfa\nb", FileFormat.CSV, at=0, line=1, last=True)

    assert (first.raw, second.raw) == (b"a", b"b")


def test_line_of_csv_says_what_one_of_json_does() -> None:
    of_csv = read(CELLS.encode(), header(HEADER.encode()))

    of_json = {
        "product": {"slug": "cup", "name": 'A "good" cup', "attributes": {"cm": 9}},
        "variant": CUP | {"active": False},
        "prices": [{"list": "x", "price_minor": 1}],
    }
    assert of_csv == read(json.dumps(of_json).encode(), None)
    of_sheet = read(CELLS.replace("false", "FALSE").encode(), header(HEADER.encode()))
    assert of_sheet == of_csv


def test_cell_is_as_long_as_what_an_export_writes_into_it() -> None:
    attributes = {f"a{n}": ["x" * 200] * 50 for n in range(20)}
    product = {"slug": "cup", "name": "Cup", "attributes": attributes}
    cell = json.dumps(attributes).replace('"', '""')

    found = read(f'cup,Cup,"{cell}",,,,,,'.encode(), header(HEADER.encode()))

    assert found == read(json.dumps({"product": product}).encode(), None)


def test_empty_cell_is_a_field_that_is_left_out() -> None:
    found = read(b"cup,Cup,,,,,,,", header(HEADER.encode()))

    assert found == read(b'{"product": {"slug": "cup", "name": "Cup"}}', None)


@pytest.mark.parametrize(
    ("named", "field"),
    [("variant.sku,variant.colour", "variant.colour"), ("prices,prices", "prices"), ("sku", "sku")],
)
def test_column_that_there_is_not_is_refused(named: str, field: str) -> None:
    with pytest.raises(LineRefused) as refused:
        header(named.encode())

    assert refused.value.field == field


def test_columns_that_may_be_meant_are_named() -> None:
    with pytest.raises(LineRefused, match=r"is it variant\.currency or"):
        header(b"variant.sku,variant.curency")


@pytest.mark.parametrize(
    ("line", "field", "why"),
    [
        ({"variant": CUP | {"price_minor": 0}}, "variant.price_minor", ">= 1"),
        ({"variant": CUP | {"sku": "a b"}}, "variant.sku", "Expected a SKU"),
        ({"variant": CUP | {"colour": "red"}}, "variant.colour", "remove it"),
        ({"product": {"slug": "cup"}}, "product.name", "add it"),
        ({"variant": CUP | {"barcode": "4006381333932"}}, "variant.barcode", "Expected a GTIN"),
        ({}, None, "a product, a variant, or both"),
        ({"variant": CUP, "prices": [{"list": "x", "price_minor": 1}] * 2}, "prices", "twice"),
        ('{"variant": {"sku": "A", "sku": "B"}}', "variant.name", "add it"),
        ("[1]", None, "object"),
        ("{", None, "not JSON"),
        ("\xe9".encode("latin-1"), None, "not JSON in UTF-8"),
        ("[" * 5000, None, "object|nested"),
        (json.dumps({"variant": CUP})[:-1] + ', "prices": [], "prices": []}', "prices", "twice"),
        (b" " * (LINE_BYTES_MAX + 1), None, "longer than"),
    ],
)
def test_bad_line_of_json_says_what_is_bad(line: Any, field: str | None, why: str) -> None:
    raw = line if isinstance(line, bytes) else line if isinstance(line, str) else json.dumps(line)

    with pytest.raises(LineRefused, match=why) as refused:
        read(raw if isinstance(raw, bytes) else raw.encode(), None)

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("line", "field", "why"),
    [
        ("cup,Cup", None, "2 cells, the header 9"),
        (CELLS.replace("100", "1.5"), "variant.price_minor", "int"),
        (CELLS.replace("100", "ten"), "variant.price_minor", "number"),
        (CELLS.replace("false", "no"), "variant.active", "true, false"),
        ('cup,"Cup"s,,,,,,,', None, "RFC 4180"),
        ('cup,"Cup', None, "RFC 4180"),
        # The next lines may not get lost: as one line with them it comes if a quote is alone.
        ('cup,5" cup,,,,,,,\npipe,5" pipe,,,,,,,', None, "the 1 behind it"),
        ("cup,Cup,,,,,,,\rpipe,Pipe,,,,,,,", None, "line feed"),
        ("cup\xff", None, "UTF-8"),
    ],
)
def test_bad_line_of_csv_says_what_is_bad(line: str, field: str | None, why: str) -> None:
    with pytest.raises(LineRefused, match=why) as refused:
        read(line.encode("latin-1"), header(HEADER.encode()))

    assert refused.value.field == field
