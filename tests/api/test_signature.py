import time

import pytest

from api.signature import HEADER, TOLERANCE_S, SignatureInvalid, verify
from tests.signed import SIGNING_KEY, signed

BODY = b'{"id": "evt_1"}'


def header(*secrets: str, late_s: float = 0) -> str:
    return signed(BODY, *secrets, late_s=late_s)[HEADER]


@pytest.mark.parametrize("secrets", [["old"], ["new"], ["other", "new"], ["new", "old"]])
def test_any_of_our_secrets_may_have_made_any_of_the_signatures(secrets: list[str]) -> None:
    verify(BODY, header(*secrets), secrets=["old", "new"], now_s=time.time())


@pytest.mark.parametrize("late_s", [-TOLERANCE_S + 5, 0, TOLERANCE_S - 5])
def test_clocks_may_differ_a_little(late_s: float) -> None:
    given = header(SIGNING_KEY, late_s=late_s)

    verify(BODY, given, secrets=[SIGNING_KEY], now_s=time.time())


@pytest.mark.parametrize("late_s", [-TOLERANCE_S - 5, TOLERANCE_S + 5, 10**9])
def test_what_was_signed_long_ago_or_lies_ahead_is_refused(late_s: float) -> None:
    given = header(SIGNING_KEY, late_s=late_s)

    with pytest.raises(SignatureInvalid):
        verify(BODY, given, secrets=[SIGNING_KEY], now_s=time.time())


GOOD = header(SIGNING_KEY)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "t=1",
        "v1=00",
        "t=,v1=00",
        GOOD.replace("v1=", "v0="),
        GOOD.replace("t=", "t=1"),
        GOOD[:-1],
        GOOD + "0",
        GOOD.replace("t=", "t=-"),
        "t=\u0661,v1=00",
        "t=1" + ",v1=00" * 5000,
        header("another"),
    ],
    ids=range(13),
)
def test_anything_else_is_no_signature(given: str | None) -> None:
    with pytest.raises(SignatureInvalid) as refused:
        verify(BODY, given, secrets=[SIGNING_KEY], now_s=time.time())

    assert refused.value.field == HEADER


def test_one_changed_byte_is_found() -> None:
    with pytest.raises(SignatureInvalid):
        verify(BODY + b" ", GOOD, secrets=[SIGNING_KEY], now_s=time.time())
