"""What passes between a client and Redis: replies to the broker's own commands that get lost."""

from collections.abc import Callable
from enum import StrEnum

from ops.storm.proxy import Passage


class Command(StrEnum):
    ENQUEUE = "enqueue"
    FETCH = "fetch"
    ACK = "ack"


class LostReplies:
    """Which replies are lost, for all links of a proxy; none while `dice` is unset."""

    def __init__(self) -> None:
        self.command = Command.ENQUEUE
        self.dice: Callable[[], bool] | None = None
        self.struck = 0

    def strikes(self, chunk: bytes) -> bool:
        """Throw the dice for what a client asks, if it is the command whose replies get lost."""
        # An argument of the broker's script, as Redis spells it on the wire.
        spelled = b"$%d\r\n%s\r\n" % (len(self.command), self.command.encode())
        struck = self.dice is not None and spelled in chunk and self.dice()
        self.struck += struck
        return struck


class RedisEar:
    """Follows one link; a client of the broker asks for one thing at a time."""

    def __init__(self, lost: LostReplies) -> None:
        self._lost = lost
        self._doomed = False

    def asked(self, chunk: bytes) -> Passage:
        if self._lost.strikes(chunk):
            self._doomed = True
        return Passage(chunk)

    def answered(self, chunk: bytes) -> Passage:
        return Passage(b"", cut=True) if self._doomed else Passage(chunk)
