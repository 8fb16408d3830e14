"""Room for connections: so many of a process, and so many of an address."""

from collections.abc import Iterable
from typing import Protocol, final

from api.proxies import NO_PROXIES, Proxies


class Occupant(Protocol):
    """A connection as its room sees it."""

    def is_silent(self) -> bool:
        """Tell whether its client is to say something before anything can be done."""
        ...

    def make_way(self) -> None:
        """Close the connection."""
        ...


@final
class Room:
    """The open connections of a process.

    Once it is full, one more takes the place of the silent one that asked longest ago: who
    holds many open without a word loses them, and a probe always finds a place.
    """

    def __init__(
        self, open_max: int, of_address_max: int, *, proxies: Proxies = NO_PROXIES
    ) -> None:
        """Hold `of_address_max` of an address, unless it is that of a trusted proxy."""
        self._open_max = open_max
        self._of_address_max = of_address_max
        self._proxies = proxies
        # Who asked longest ago is first.
        self._open: dict[Occupant, str | None] = {}
        self._of_address: dict[str, dict[Occupant, None]] = {}

    def admit(self, one: Occupant, address: str | None) -> bool:
        """Take a connection in, which comes from an address or a socket file; False if full."""
        owner = None if address is None else self._proxies.owner(address)
        theirs = {} if owner is None else self._of_address.get(owner, {})
        if len(theirs) >= self._of_address_max and not self._clear(theirs):
            return False
        if len(self._open) >= self._open_max and not self._clear(self._open):
            return False
        self._open[one] = owner
        if owner is not None:
            self._of_address.setdefault(owner, {})[one] = None
        return True

    def heard(self, one: Occupant) -> None:
        """Note that a connection has asked for something."""
        if one in self._open:
            owner = self._open.pop(one)
            self._open[one] = owner
            if owner is not None:
                theirs = self._of_address[owner]
                del theirs[one]
                theirs[one] = None

    def leave(self, one: Occupant) -> None:
        """Give the place of a connection to others, if it still has one."""
        owner = self._open.pop(one, None)
        if owner is not None:
            theirs = self._of_address[owner]
            del theirs[one]
            if not theirs:
                del self._of_address[owner]

    def _clear(self, places: Iterable[Occupant]) -> bool:
        silent = next((one for one in places if one.is_silent()), None)
        if silent is None:
            return False
        self.leave(silent)
        silent.make_way()
        return True
