import json
import random
from uuid import UUID

import pytest

from api.cards import (
    CardNumberRefused,
    looks_like_card_number,
    refuse_card_number_as_key,
    refuse_card_numbers,
)

VISA = "4242424242424242"


@pytest.mark.parametrize(
    "text",
    [
        VISA,
        "4242 4242 4242 4242",
        "4242-4242-4242-4242",
        "4242 - 4242 - 4242 - 4242",
        "4242.4242.4242.4242",
        "4242/4242/4242/4242",
        "4242, 4242, 4242, 4242",
        "378282246310005",
        "3782 822463 10005",
        "5555555555554444",
        "6011111111111117",
        "4222222222222",
        "6304000000000000",
        "2223003122003222",
        "2720992000000003",
        "30569309025904",
        "3056 930902 5904",
        "3530111333300000",
        "6200000000000005",
        "42 42 42 42 42 42 42 42",
        "4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2",
        "424242 4242424242",
        f"my card is {VISA}, thanks",
        f"pm_{VISA}x",
        f"Flat 3 {VISA}",
        f"{VISA} 12/29 123",
        "4242\u00a04242\u20114242\u20134242",
        "".join(chr(0xFF10 + int(digit)) for digit in VISA),
    ],
)
def test_a_card_number_is_found_however_it_is_written(text: str) -> None:
    assert looks_like_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4242424242424241",
        "424242424242",
        f"{VISA}00000000",
        "0000000000000000",
        "1234567812345670",
        "9999999999999995",
        "pm_card_visa",
        "pm_1NXYZ4242abc4242def4242ghi4242",
        "+44 20 7946 0958",
        "1 High Street, London N1 1AA",
        "4242, 4242, 4242; 4242",
        "01a1fc38-e824-799d-91fa-a3621629b8c6",
        f"order-{VISA[:8]}-4242-4242-a242-424242424242",
        f"{VISA[:8]}-4242-4242-4242-424242424242@example.com",
        f"{VISA}aaaabbbbccccdddd@example.com",
        "call 424 242 4242 42 4242",
        "42 4242424242 4242",
        "2026-11-21 4242 4242 42",
        "3100000000000003",
        "3782822463100052",
        "5555555555554444554",
        "2220000000000000",
        "2721000000000004",
        "424242424242424",
        "68000000000000007",
    ],
)
def test_what_is_no_card_number_is_left_alone(text: str) -> None:
    assert not looks_like_card_number(text)


def test_random_addresses_are_no_card_numbers() -> None:
    chance = random.Random(1)  # noqa: S311 - repeatable, not secret
    names = [UUID(int=chance.getrandbits(128), version=4) for _ in range(20_000)]
    assert not [name for name in names if looks_like_card_number(f"{name}@example.com")]
    assert not [name for name in names if looks_like_card_number(f"{name.hex}@example.com")]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"a": VISA}, "a"),
        ({"a": {"b": ["x", {"c": VISA}]}}, "a.b[1].c"),
        ({"a": int(VISA)}, "a"),
        ([VISA], "[0]"),
    ],
)
def test_its_field_is_named_and_the_number_is_not(document: object, field: str) -> None:
    with pytest.raises(CardNumberRefused) as refused:
        refuse_card_numbers(json.dumps(document).encode())

    assert refused.value.field == field
    assert VISA not in refused.value.detail


@pytest.mark.parametrize(
    "hidden",
    [
        "".join(f"\\u{ord(digit):04x}" for digit in VISA),
        r"4242\/4242\/4242\/4242",
        r"4242\n4242\n4242\n4242",
    ],
)
def test_escapes_hide_no_card_number(hidden: str) -> None:
    with pytest.raises(CardNumberRefused):
        refuse_card_numbers(f'{{"a": "{hidden}"}}'.encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        VISA.encode()[:-1] + b"1",
        f'{{"a": "{VISA}"'.encode(),
        b"[" * 100_000 + VISA.encode(),
        b'\xff"' + VISA.encode(),
        json.dumps({"sku": VISA, "quantity": int(VISA)}).encode(),
    ],
    ids=range(6),
)
def test_what_is_no_json_or_our_own_number_is_left_to_others(body: bytes) -> None:
    refuse_card_numbers(body)


@pytest.mark.parametrize("key", [VISA, f"order-{VISA}", "4242.4242.4242.4242"])
def test_a_card_number_is_no_key(key: str) -> None:
    with pytest.raises(CardNumberRefused) as refused:
        refuse_card_number_as_key(key)

    assert refused.value.field == "Idempotency-Key"
    assert VISA not in refused.value.detail


@pytest.mark.parametrize(
    "key",
    [
        "k",
        "1763713779000",
        "a1b2c3d4-4242-4242-4242-4242abcdefab",
        f"order-{VISA[:8]}-4242-4242-a242-424242424242",
        f"{VISA}aaaabbbbccccdddd",
    ],
)
def test_a_random_key_that_happens_to_hold_digits_is_taken(key: str) -> None:
    refuse_card_number_as_key(key)
