"""Only what can be an address is taken for one."""

from typing import Any

import msgspec
import pytest

from domain.address import Address, Destination

GIVEN: dict[str, Any] = {
    "name": "Ann Example",
    "line1": "1 High Street",
    "city": "London",
    "postcode": "N1 1AA",
    "country": "GB",
}


def test_address_needs_no_second_line_and_no_region() -> None:
    address = msgspec.convert(GIVEN, Destination)

    assert msgspec.to_builtins(address) == GIVEN


@pytest.mark.parametrize("country", ["GB", "AQ", "ZW", "XK", "EU", "ZZ"])
def test_country_of_the_standard_or_of_our_exceptions_is_taken(country: str) -> None:
    assert msgspec.convert(GIVEN | {"country": country}, Destination).country == country


@pytest.mark.parametrize("name", ["O'Brien-Łukasz", "李 🎁", "אבי כהן", "क्‍ष", "a\u00a0b", " a "])
def test_name_of_any_script_is_taken(name: str) -> None:
    assert msgspec.convert(GIVEN | {"name": name}, Destination).name == name


CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]
BIDI = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]


@pytest.mark.parametrize("field", ["name", "line1", "line2", "city", "region", "postcode"])
def test_control_characters_are_refused_in_every_field(field: str) -> None:
    for code in CONTROLS + BIDI:
        for text in (f"a{chr(code)}", f"{chr(code)}a"):
            with pytest.raises(msgspec.ValidationError, match=field):
                msgspec.convert(GIVEN | {field: text}, Destination)


@pytest.mark.parametrize("field", ["name", "line1", "line2", "city", "region", "postcode"])
@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u3000 "])
def test_blank_text_is_refused_in_every_field(field: str, blank: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=field):
        msgspec.convert(GIVEN | {field: blank}, Destination)


def test_address_stays_readable_when_the_rules_become_stricter() -> None:
    kept = GIVEN | {"country": "YU", "line1": "a\nb"}

    assert msgspec.to_builtins(msgspec.convert(kept, Address)) == kept


@pytest.mark.parametrize(
    "wrong",
    [
        {"country": "gb"},
        {"country": "GBR"},
        {"country": "QQ"},
        {"country": "UK"},
        {"country": "YU"},
        {"country": "GB\n"},
        {"name": ""},
        {"city": "x" * 201},
        {"postcode": "x" * 21},
        {"line2": ""},
        {"planet": "Earth"},
    ],
)
def test_address_that_cannot_be_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(GIVEN | wrong, Destination)
