"""Ports that are free, and stay ours until the programs we give them to listen."""

import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from ops.local.state import CannotStart

HOST = "127.0.0.1"
_TRIED = 100


class Ports:
    """Ports chosen for one platform.

    Each is claimed by its UDP twin, which nobody else may bind while we hold it and which vanishes
    with us: two platforms that start at the same time never choose the same.
    """

    def __init__(self, claims: ExitStack) -> None:
        self._claims = claims

    def named(self, name: str, number: int) -> int:
        """Return the port the user asked for by that name. Raises CannotStart if it is taken."""
        if _is_listened_to(number) or not self._claim(number):
            raise CannotStart(
                f"Port {number} is taken: see who holds it with `lsof -i :{number}` or "
                f"`ss -ltnp 'sport = :{number}'` and stop it, or set {name} to another port, "
                f"or leave {name} unset and one is chosen."
            )
        return number

    def near(self, first: int) -> int:
        """Return the first free port from there on. Raises CannotStart after a hundred."""
        for number in range(first, first + _TRIED):
            if not _is_listened_to(number) and self._claim(number):
                return number
        raise CannotStart(
            f"Ports {first} to {first + _TRIED - 1} are all taken: stop what holds them."
        )

    def _claim(self, number: int) -> bool:
        twin = socket.socket(type=socket.SOCK_DGRAM)
        try:
            twin.bind((HOST, number))
        except OSError:
            twin.close()
            return False
        self._claims.enter_context(twin)
        return True


@contextmanager
def ports() -> Generator[Ports]:
    """Choose ports, which are held while inside."""
    with ExitStack() as claims:
        yield Ports(claims)


def _is_listened_to(number: int) -> bool:
    with socket.socket() as probe:
        # As servers do, so that connections of a server that just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, number))
        except PermissionError as error:
            raise CannotStart(f"Port {number} is for root only: set another above 1023.") from error
        except OSError:
            return True
    # On macOS a listener on every address does not prevent ours on one.
    with socket.socket() as probe:
        return probe.connect_ex((HOST, number)) == 0
