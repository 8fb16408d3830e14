"""Where a request comes from: what trusted proxies say of it, and nobody else's word."""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import final

from litestar.types import HTTPScope

from ops.config import SettingInvalid

# A peer that came by a socket file has no address, only the rights to open the file.
UNIX = "unix"
# A customer of a provider has a whole network of this size (RFC 6177).
_IPV6_PREFIX = 64
# A longer chain of proxies is nobody's; what is left of it is not looked at.
_HOPS_MAX = 20
_REMEMBERED = 4096
_SCHEMES = {b"http", b"https"}


@final
class Proxies:
    """The proxies in front of us, by TRUSTED_PROXIES."""

    def __init__(self, trusted: str) -> None:
        """Read the setting. Raises SettingInvalid for what is no network."""
        named = [part.strip() for part in trusted.split(",") if part.strip()]
        self._unix = UNIX in named
        self._networks = [_network(name) for name in named if name != UNIX]
        self._trusts = lru_cache(maxsize=_REMEMBERED)(self._is_trusted)

    def resolve(self, scope: HTTPScope) -> None:
        """Put the address and the scheme of who asks in place of those of a trusted proxy."""
        peer, port = scope["client"] or (UNIX, 0)
        peer = _address(peer) or peer
        if self._trusts(peer):
            forwarded = [v for name, v in scope["headers"] if name == b"x-forwarded-for"]
            peer = self._rightmost_untrusted(peer, b",".join(forwarded))
            for name, value in scope["headers"]:
                if name == b"x-forwarded-proto" and value in _SCHEMES:
                    scope["scheme"] = value.decode()
        scope["client"] = (peer, port)

    def owner(self, peer: str) -> str | None:
        """Name the household that a peer is; None for a proxy, behind which are many."""
        peer = _address(peer) or peer
        return None if self._trusts(peer) else household(peer)

    def _rightmost_untrusted(self, peer: str, forwarded: bytes) -> str:
        """Go back from hop to hop while each is believed; what is further back is hearsay."""
        hops = forwarded.decode("latin-1").split(",")[-_HOPS_MAX:]
        while hops and self._trusts(peer) and (hop := _address(hops.pop())):
            peer = hop
        return peer

    def _is_trusted(self, peer: str) -> bool:
        if peer == UNIX:
            return self._unix
        try:
            return any(ip_address(peer) in network for network in self._networks)
        except ValueError:
            return False


@lru_cache(maxsize=_REMEMBERED)
def _address(hop: str) -> str | None:
    """Read the address of a hop, which may have a port; one mapped into IPv6 is the IPv4 one."""
    text = hop.strip().partition("%")[0]
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return _unmapped(text)
    except ValueError:
        return None


def _unmapped(text: str) -> str:
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


@lru_cache(maxsize=_REMEMBERED)
def household(address: str) -> str:
    """Name who shares an address: it alone in IPv4, in IPv6 all of its customer's network."""
    if ":" not in address:
        return address
    return str(ip_network((address, _IPV6_PREFIX), strict=False))


NO_PROXIES = Proxies("")


def _network(name: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(name)
    except ValueError as error:
        raise SettingInvalid(f"TRUSTED_PROXIES: {error}: give e.g. 10.0.0.0/8.") from error
