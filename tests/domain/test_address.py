"""Only what can be an address is taken for one."""

from typing import Any

import msgspec
import pytest

from domain.address import Address

GIVEN: dict[str, Any] = {
    "name": "Ann Example",
    "line1": "1 High Street",
    "city": "London",
    "postcode": "N1 1AA",
    "country": "GB",
}


def test_address_needs_no_second_line_and_no_region() -> None:
    address = msgspec.convert(GIVEN, Address)

    assert msgspec.to_builtins(address) == GIVEN


@pytest.mark.parametrize(
    "wrong",
    [
        {"country": "gb"},
        {"country": "GBR"},
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
        msgspec.convert(GIVEN | wrong, Address)
