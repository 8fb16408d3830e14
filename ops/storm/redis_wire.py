"""What passes between a client and Redis: replies to the broker's own commands that get lost."""

from collections.abc import Callable

from ops.storm.proxy import Passage

# Arguments of the broker's script, as Redis spells them on the wire.
_COMMANDS = tuple(
    b"$%d\r\n%s\r\n" % (len(command), command) for command in (b"enqueue", b"fetch", b"ack")
)


class LostReplies:
    """Which replies are lost, for all links of a proxy; none while `dice` is unset."""

    def __init__(self) -> None:
        self.dice: Callable[[], bool] | None = None
        self.struck = 0

    def strikes(self) -> bool:
        """Throw the dice for one command."""
        struck = self.dice is not None and self.dice()
        self.struck += struck
        return struck


class RedisEar:
    """Follows one link; a client of the broker asks for one thing at a time."""

    def __init__(self, lost: LostReplies) -> None:
        self._lost = lost
        self._doomed = False

    def asked(self, chunk: bytes) -> Passage:
        if any(command in chunk for command in _COMMANDS) and self._lost.strikes():
            self._doomed = True
        return Passage(chunk)

    def answered(self, chunk: bytes) -> Passage:
        return Passage(b"", cut=True) if self._doomed else Passage(chunk)
