import pytest

from ops.storm.redis_wire import Command, LostReplies, RedisEar

FETCH = b"*3\r\n$7\r\nEVALSHA\r\n$1\r\na\r\n$5\r\nfetch\r\n"
PING = b"*1\r\n$4\r\nPING\r\n"


def an_ear(*, strikes: bool, command: Command = Command.FETCH) -> RedisEar:
    lost = LostReplies()
    lost.command, lost.dice = command, lambda: strikes
    return RedisEar(lost)


@pytest.mark.parametrize("command", Command)
def test_reply_to_the_brokers_command_is_lost_after_it_was_executed(command: Command) -> None:
    ear = an_ear(strikes=True, command=command)
    asked = FETCH.replace(b"$5\r\nfetch", b"$%d\r\n%s" % (len(command), command.encode()))

    assert ear.asked(asked).onward == asked
    assert ear.answered(b":1\r\n").cut
    assert ear.answered(b":1\r\n").onward == b""


@pytest.mark.parametrize(
    ("strikes", "asked"),
    [(False, FETCH), (True, PING), (True, FETCH.replace(b"$5\r\nfetch", b"$3\r\nack"))],
)
def test_any_other_reply_passes(*, strikes: bool, asked: bytes) -> None:
    ear = an_ear(strikes=strikes)

    assert ear.asked(asked).onward == asked
    assert ear.answered(b"+PONG\r\n").onward == b"+PONG\r\n"
