"""Forged forwarding headers: they gain nothing, whoever sends them."""

from pathlib import Path
from typing import Any, cast

import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from api.proxies import Proxies, household
from ops.config import SettingInvalid, Settings
from tests.api.sockets import HEAD, answer_to, status, web

BALANCERS = "10.0.0.0/8, 2001:db8::/32"


def resolved(
    trusted: str, peer: tuple[str, int] | None, *headers: tuple[bytes, bytes]
) -> tuple[str, str]:
    """Tell the address and the scheme of a request."""
    scope: dict[str, Any] = {"client": peer, "headers": list(headers), "scheme": "http"}
    Proxies(trusted).resolve(cast("Any", scope))
    return scope["client"][0], scope["scheme"]


def address(peer: str, *forwarded: str, trusted: str = BALANCERS) -> str:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return resolved(trusted, (peer, 4711), *headers)[0]


@pytest.mark.parametrize("peer", ["198.51.100.7", "127.0.0.1", "2001:db9::1", "testclient"])
@pytest.mark.parametrize("forged", ["203.0.113.9", "10.0.0.1", "127.0.0.1", "::1", "unix"])
def test_a_stranger_is_not_believed(peer: str, forged: str) -> None:
    assert address(peer, forged) == peer
    assert address(peer, forged, trusted="") == peer


def test_a_proxy_is_believed_about_who_came_to_it() -> None:
    assert address("10.1.2.3", "198.51.100.7") == "198.51.100.7"
    assert address("2001:db8::1", "2001:db9::7") == "2001:db9::7"


def test_what_the_client_itself_wrote_before_the_proxy_is_hearsay() -> None:
    assert address("10.1.2.3", "1.1.1.1, 10.0.0.9, 198.51.100.7") == "198.51.100.7"
    assert address("10.1.2.3", "1.1.1.1", "198.51.100.7") == "198.51.100.7"


def test_a_chain_of_proxies_is_followed_to_its_beginning() -> None:
    assert address("10.1.2.3", "1.1.1.1, 198.51.100.7, 10.0.0.9,10.0.0.8") == "198.51.100.7"


def test_who_stands_among_the_proxies_is_who_asks() -> None:
    assert address("10.1.2.3", "10.0.0.9") == "10.0.0.9"
    assert address("10.1.2.3") == "10.1.2.3"


@pytest.mark.parametrize("nonsense", ["unknown", "", ",", "1.2.3", "_hidden", "a" * 5000, "\xe4"])
def test_what_is_no_address_ends_the_chain_at_who_said_it(nonsense: str) -> None:
    assert address("10.1.2.3", f"198.51.100.7, {nonsense}, 10.0.0.9") == "10.0.0.9"


def test_a_chain_without_end_is_not_followed_to_it() -> None:
    assert address("10.1.2.3", ", ".join(["198.51.100.7"] + ["10.0.0.9"] * 100_000)) == "10.0.0.9"


@pytest.mark.parametrize(
    ("hop", "is_"),
    [
        ("198.51.100.7:4711", "198.51.100.7"),
        ("[2001:db9::7]:4711", "2001:db9::7"),
        ("[2001:db9::7]", "2001:db9::7"),
        ("2001:0DB9:0::7", "2001:db9::7"),
        ("fe80::7%eth0", "fe80::7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
    ],
)
def test_one_address_has_one_spelling(hop: str, is_: str) -> None:
    assert address("10.1.2.3", hop) == is_


def test_a_proxy_on_a_socket_of_both_families_is_the_same() -> None:
    assert address("::ffff:10.1.2.3", "198.51.100.7") == "198.51.100.7"


def test_a_socket_file_is_trusted_if_the_setting_says_so() -> None:
    forwarded = (b"x-forwarded-for", b"198.51.100.7")

    assert resolved("unix", None, forwarded)[0] == "198.51.100.7"
    assert resolved("10.0.0.0/8", None, forwarded)[0] == "unix"


@pytest.mark.parametrize(
    ("peer", "said", "scheme"),
    [
        ("10.1.2.3", b"https", "https"),
        ("10.1.2.3", b"http", "http"),
        ("10.1.2.3", b"javascript", "http"),
        ("198.51.100.7", b"https", "http"),
    ],
)
def test_a_proxy_alone_says_whether_it_was_spoken_to_in_secret(
    peer: str, said: bytes, scheme: str
) -> None:
    assert resolved(BALANCERS, (peer, 1), (b"x-forwarded-proto", said))[1] == scheme


@pytest.mark.parametrize("wrong", ["10.0.0.1/8", "nonsense", "10.0.0.0/33", "*"])
def test_a_setting_that_is_no_network_is_refused(wrong: str) -> None:
    with pytest.raises(SettingInvalid, match=r"^TRUSTED_PROXIES: "):
        Proxies(wrong)


def test_a_household_is_an_address_or_the_network_of_a_customer() -> None:
    assert household("198.51.100.7") == "198.51.100.7"
    assert household("2001:db8:1:2:3::1") == household("2001:db8:1:2:4::1") == "2001:db8:1:2::/64"
    assert household("unix") == "unix"


async def test_the_server_beneath_believes_nobody_either(
    database_url: str, redis_url: str, valkey: "Redis", tmp_path: Path
) -> None:
    del valkey
    head = b"GET /nowhere HTTP/1.1\r\n%bX-Forwarded-For: 1.1.1.%d\r\n\r\n"
    async with web(database_url, redis_url, tmp_path / "log", rate_anonymous=2) as process:
        codes = [status(await answer_to(process.port, head % (HEAD, n))) for n in range(3)]

    assert codes == [404, 404, 429]


FORGERIES = [
    *("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP"),
    *("CF-Connecting-IP", "X-Forwarded", "Forwarded-For", "X-Cluster-Client-IP", "Via"),
]


@pytest.fixture
def settings(settings: Settings, valkey: "Redis") -> Settings:
    del valkey
    return msgspec.structs.replace(settings, rate_anonymous=5, trusted_proxies="10.0.0.0/8")


@pytest.mark.parametrize("header", FORGERIES)
async def test_no_forged_header_gets_a_stranger_around_the_limit(
    stranger: httpx.AsyncClient, header: str
) -> None:
    codes = [
        (await stranger.get("/nowhere", headers={header: f"198.51.100.{n}"})).status_code
        for n in range(6)
    ]

    assert codes == [404] * 5 + [429]
