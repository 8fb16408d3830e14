"""Lines of the catalogue: what they may say, and what they are refused for."""

import subprocess
import sys

import msgspec
import pytest

from domain.catalogue_line import CatalogueLine
from domain.product import ProductContent
from domain.variant import is_gtin

VARIANT = '"variant": {"sku": "A", "name": "A", "price_minor": 1, "currency": "GBP"}'


def test_line_that_is_written_is_read_again() -> None:
    text = (
        b'{"product":{"name":"Oak board","attributes":{"cm":30.5,"wood":["oak",1]},'
        b'"images":[{"url":"https://img.example/a.png?w=1"}],"status":"active",'
        b'"published_at":"2026-01-01T00:00:00Z","slug":"oak-board"},'
        b'"variant":{"name":"Small","price_minor":1250,"currency":"GBP",'
        b'"barcode":"4006381333931","options":{"size":"s"},"cost_minor":0,"sku":"BOARD-S"},'
        b'"prices":[{"list":"summer","price_minor":990}]}'
    )

    assert msgspec.json.encode(msgspec.json.decode(text, type=CatalogueLine)) == text


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{}", "Expected a product, a variant, or both"),
        ('{"product": {"slug": "a", "name": "A"}, "prices": [%s]}', "prices`: Expected a variant"),
        ('{"product": {"slug": "a", "name": ""}}', "length >= 1"),
        ('{"product": {"slug": "a", "name": "A", "published_at": "1999-01-01T00:00:00Z"}}', "2000"),
        ('{"product": {"slug": "a", "name": "A", "attributes": {"a": "\\n"}}}', "attribute a"),
        ('{"product": {"slug": "a", "name": "A", "attributes": {"a": ["\\n"]}}}', "regex"),
        ('{"product": {"slug": "a", "name": "A", "attributes": {"a": 1e300}}}', "<= "),
        ('{"product": {"slug": "a", "name": "A", "images": [{"url": "http://a.b"}]}}', "regex"),
        ("{" + VARIANT.replace("}", ', "barcode": "4006381333932"}') + "}", "GTIN"),
        ("{" + VARIANT.replace("}", ', "tax_class": "none"}') + "}", "none"),
    ],
)
def test_line_that_makes_no_sense_is_refused(line: str, why: str) -> None:
    text = line.replace("%s", '{"list": "summer", "price_minor": 1}')

    with pytest.raises(msgspec.ValidationError, match=why):
        msgspec.json.decode(text, type=CatalogueLine)


@pytest.mark.parametrize(
    ("barcode", "is_one"),
    [
        ("96385074", True),
        ("036000291452", True),
        ("4006381333931", True),
        ("10012345678902", True),
        ("4006381333930", False),
        ("6", False),
        ("0" * 11, False),
    ],
)
def test_barcode_is_told_by_its_last_digit(barcode: str, *, is_one: bool) -> None:
    assert is_gtin(barcode) is is_one


def test_decoder_of_a_product_keeps_to_its_own_memory() -> None:
    made = f"import msgspec; from {ProductContent.__module__} import ProductContent as P\n"
    loop = "for _ in range(20): msgspec.json.Decoder(P)"

    command = [sys.executable, "-X", "dev", "-c", made + loop]
    ended = subprocess.run(command, check=False)  # noqa: S603 - ours
    assert ended.returncode == 0
