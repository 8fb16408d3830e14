"""Attacks on access tokens: whatever is not exactly one of ours opens nothing."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api.problems import Unauthenticated
from api.tokens import Claims, Tokens
from db.ids import new_id
from domain.secret import KeyMalformed, decoded, encoded, keys

KEY, OLD_KEY = bytes(range(32)), bytes(range(1, 33))
NOW_S = 1_800_000_000
LIFETIME_S = 900
USER, SESSION = new_id(), new_id()
REMOVED = object()


@pytest.fixture
def tokens() -> Tokens:
    return Tokens([KEY], lifetime_s=LIFETIME_S)


def issued(by: Tokens) -> str:
    return by.issue(USER, SESSION, version=3, now_s=NOW_S)


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, payload, _ = token.split(".")
    return json.loads(decoded(header)), json.loads(decoded(payload))


def forged(
    token: str,
    header: dict[str, Any] | None = None,
    claims: dict[str, Any] | None = None,
    key: bytes = KEY,
) -> str:
    """Change a token and sign it again, as somebody could who had the key."""
    had, said = parts(token)
    return signed(changed(had, header or {}), json.dumps(changed(said, claims or {})), key)


def changed(was: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: v for name, v in (was | changes).items() if v is not REMOVED}


def signed(header: dict[str, Any], payload: str, key: bytes = KEY) -> str:
    message = f"{encoded(json.dumps(header).encode())}.{encoded(payload.encode())}"
    signature = Ed25519PrivateKey.from_private_bytes(key).sign(message.encode())
    return f"{message}.{encoded(signature)}"


def refused(tokens: Tokens, token: str, now_s: int = NOW_S) -> None:
    for _ in range(2):
        with pytest.raises(Unauthenticated) as refusal:
            tokens.verify(token, now_s=now_s)
        assert refusal.value.detail == "The token is not valid, or not any more: get a new one."


def test_token_says_who_and_until_when(tokens: Tokens) -> None:
    claims = tokens.verify(issued(tokens), now_s=NOW_S + LIFETIME_S - 1)

    assert isinstance(claims, Claims)
    assert (claims.sub, claims.sid, claims.ver) == (USER, SESSION, 3)
    assert claims.exp - claims.iat == LIFETIME_S
    assert parts(issued(tokens))[0].keys() == {"alg", "typ", "kid"}


def test_what_the_forger_of_these_tests_signs_is_good(tokens: Tokens) -> None:
    assert tokens.verify(forged(issued(tokens)), now_s=NOW_S).sub == USER


@pytest.mark.parametrize("now_s", [NOW_S + LIFETIME_S, NOW_S + 10**6, NOW_S - 31])
def test_token_counts_in_its_time_only(tokens: Tokens, now_s: int) -> None:
    token = issued(tokens)
    assert tokens.verify(token, now_s=NOW_S)

    refused(tokens, token, now_s)


def test_clock_of_another_process_may_be_half_a_minute_behind(tokens: Tokens) -> None:
    assert tokens.verify(issued(tokens), now_s=NOW_S - 30)


@pytest.mark.parametrize("name", ["none", "None", "nOnE", "NONE", "", "HS256", "RS256", "ES256"])
def test_only_one_algorithm_is_there(tokens: Tokens, name: str) -> None:
    token = issued(tokens)
    message, _, signature = forged(token, {"alg": name}).rpartition(".")

    refused(tokens, f"{message}.{signature}")
    refused(tokens, f"{message}.")


@pytest.mark.parametrize("form", [Encoding.PEM, Encoding.Raw])
def test_public_key_is_no_secret_to_sign_with(tokens: Tokens, form: Encoding) -> None:
    public = Ed25519PrivateKey.from_private_bytes(KEY).public_key()
    kind = PublicFormat.Raw if form is Encoding.Raw else PublicFormat.SubjectPublicKeyInfo
    header, claims = parts(issued(tokens))
    header["alg"] = "HS256"
    message = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"
    mac = hmac.digest(public.public_bytes(form, kind), message.encode(), hashlib.sha256)

    refused(tokens, f"{message}.{encoded(mac)}")


@pytest.mark.parametrize(
    "header",
    [
        *({"kid": kid} for kid in ("../../dev/null", "' OR '1'='1", "", "x" * 200, 1, None, [])),
        {"kid": REMOVED},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/chain"},
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}},
        {"x5c": ["AAAA"]},
        {"crit": ["exp"]},
        {"crit": ["http://example.com/unknown"], "http://example.com/unknown": True},
        {"crit": []},
        {"b64": False, "crit": ["b64"]},
        {"zip": "DEF"},
        {"cty": "JWT"},
        *({"typ": typ} for typ in ("JWT", "rt+jwt", "AT+JWT", "", None, REMOVED)),
        {"alg": REMOVED},
        {"alg": ["EdDSA"]},
    ],
)
def test_header_says_exactly_what_ours_says(tokens: Tokens, header: dict[str, Any]) -> None:
    refused(tokens, forged(issued(tokens), header))


def test_key_that_a_token_brings_along_is_none_of_ours(tokens: Tokens) -> None:
    theirs = Tokens([OLD_KEY], lifetime_s=LIFETIME_S)
    kid = parts(issued(tokens))[0]["kid"]

    refused(tokens, issued(theirs))
    refused(tokens, forged(issued(theirs), {"kid": kid}, key=OLD_KEY))


@pytest.mark.parametrize(
    "claims",
    [
        *({"iss": iss} for iss in ("orderflo", "orderflow2", "ORDERFLOW", ["orderflow"], REMOVED)),
        *({"aud": aud} for aud in ("orderflow", "", ["orderflow api"], None, REMOVED)),
        *({"exp": exp} for exp in (str(NOW_S + 9), NOW_S + 9.5, True, None, [], REMOVED, 10**30)),
        *({"iat": iat} for iat in (str(NOW_S), float(NOW_S), None, REMOVED, NOW_S + 10**6)),
        *({"ver": ver} for ver in ("3", 3.0, True, None, REMOVED)),
        *({"sub": sub} for sub in ("", "admin", 1, None, REMOVED)),
        {"sid": REMOVED},
        {"jti": REMOVED},
        {"role": "admin"},
        {"nbf": NOW_S},
    ],
)
def test_claims_are_exactly_those_of_ours(tokens: Tokens, claims: dict[str, Any]) -> None:
    refused(tokens, forged(issued(tokens), claims=claims))


@pytest.mark.parametrize("exp", ["NaN", "Infinity", "1e400", "-1", f"{NOW_S + 900}.0"])
def test_end_that_is_no_whole_number_is_none(tokens: Tokens, exp: str) -> None:
    header, claims = parts(issued(tokens))
    payload = json.dumps(claims).replace(str(claims["exp"]), exp)

    refused(tokens, signed(header, payload))


def test_claim_given_twice_is_none(tokens: Tokens) -> None:
    header, claims = parts(issued(tokens))

    refused(tokens, signed(header, json.dumps(claims)[:-1] + f', "sub": "{new_id()}"}}'))


def test_token_with_any_bit_turned_is_none(tokens: Tokens) -> None:
    token = issued(tokens)
    turned = [
        token[:place] + chr(ord(token[place]) ^ bit) + token[place + 1 :]
        for place in range(len(token))
        for bit in (1, 2, 4, 8, 16, 32)
    ]

    accepted = [t for t in turned if _is_accepted(tokens, t)]

    assert accepted == []


def _is_accepted(tokens: Tokens, token: str) -> bool:
    try:
        tokens.verify(token, now_s=NOW_S)
    except Unauthenticated:
        return False
    return True


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "....",
        "é.é.é",
        "A" * 1_000_000,
        ("A" * 400 + ".") * 3,
        base64.urlsafe_b64encode(b"[" * 1200).decode() + ".e30.e30",
        "A" * 43,
    ],
)
def test_what_is_no_token_is_refused_at_once(tokens: Tokens, token: str) -> None:
    refused(tokens, token)


def test_token_with_padding_or_a_line_break_is_none(tokens: Tokens) -> None:
    token = issued(tokens)

    for other in (token + "=", token + "\n", " " + token, token.replace(".", ".\n", 1)):
        refused(tokens, other)


def test_token_of_another_kind_signed_with_our_key_opens_nothing(tokens: Tokens) -> None:
    key = Ed25519PrivateKey.from_private_bytes(KEY)
    kid = parts(issued(tokens))[0]["kid"]

    refused(tokens, jwt.encode({"sub": str(USER)}, key, "EdDSA", headers={"kid": kid}))


def test_new_key_signs_and_the_old_one_still_verifies() -> None:
    before = Tokens([OLD_KEY], lifetime_s=LIFETIME_S)
    after = Tokens([KEY, OLD_KEY], lifetime_s=LIFETIME_S)
    done = Tokens([KEY], lifetime_s=LIFETIME_S)
    old, new = issued(before), issued(after)

    assert after.verify(old, now_s=NOW_S).sub == after.verify(new, now_s=NOW_S).sub == USER
    assert done.verify(new, now_s=NOW_S)
    refused(done, old)


def test_without_a_key_nothing_is_good() -> None:
    none = Tokens([], lifetime_s=LIFETIME_S)

    assert not none.can_issue
    refused(none, issued(Tokens([KEY], lifetime_s=LIFETIME_S)))


def test_keys_are_read_from_a_setting_and_never_shown() -> None:
    assert keys(f" {encoded(KEY)} ,{encoded(OLD_KEY)},") == (KEY, OLD_KEY)
    assert keys("") == ()
    for broken in ("short", encoded(KEY)[:-1], encoded(KEY) + "A", "ä" * 43, "%" * 43):
        with pytest.raises(KeyMalformed) as error:
            keys(broken)
        assert broken not in str(error.value)
