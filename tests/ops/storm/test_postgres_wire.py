import struct

import pytest

from ops.storm.postgres_wire import CommitCuts, Messages, PostgresEar, When, is_commit


def a_message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


START = struct.pack("!ii", 8, 196608)
ENCRYPTION = struct.pack("!ii", 8, 80877103)
INSERT = a_message(b"Q", b"INSERT\0")
COMMIT = a_message(b"Q", b"COMMIT\0")
COMMITTED = a_message(b"C", b"COMMIT\0")
ROLLED_BACK = a_message(b"C", b"ROLLBACK\0")
READY = a_message(b"Z", b"I")


def an_ear(when: When, *, strikes: bool = True) -> PostgresEar:
    cuts = CommitCuts()
    cuts.when, cuts.dice = when, lambda: strikes
    ear = PostgresEar(cuts)
    ear.asked(START)
    return ear


@pytest.mark.parametrize("piece", [1, 3, 7, 1000])
def test_messages_are_whole_however_the_bytes_come(piece: int) -> None:
    stream = ENCRYPTION + START + INSERT + COMMIT
    messages = Messages(from_start=True)

    found = [m for i in range(0, len(stream), piece) for m in messages.take(stream[i : i + piece])]

    assert found == [ENCRYPTION, START, INSERT, COMMIT]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (COMMIT, True),
        (a_message(b"Q", b"commit;\0"), True),
        (a_message(b"P", b"name\0COMMIT\0\0\0"), True),
        (a_message(b"Q", b"ROLLBACK\0"), False),
        (a_message(b"Q", b"SELECT 'COMMIT'\0"), False),
        (a_message(b"B", b"COMMIT\0"), False),
    ],
)
def test_commit_is_told_from_what_only_looks_like_it(message: bytes, *, expected: bool) -> None:
    assert is_commit(message) is expected


def test_commit_cut_before_never_reaches_the_server() -> None:
    passage = an_ear(When.BEFORE).asked(INSERT + COMMIT)

    assert passage.onward == INSERT
    assert passage.cut


def test_commit_cut_after_is_applied_and_its_reply_lost() -> None:
    ear = an_ear(When.AFTER)

    asked = ear.asked(COMMIT)
    first, second = ear.answered(COMMITTED[:4]), ear.answered(COMMITTED[4:] + READY)

    assert (asked.onward, asked.cut) == (COMMIT, False)
    assert (first.onward, first.cut) == (b"", False)
    assert (second.onward, second.cut) == (b"", True)


def test_commit_that_was_rolled_back_is_told_so() -> None:
    ear = an_ear(When.AFTER)

    ear.asked(COMMIT)
    passage = ear.answered(ROLLED_BACK + READY)

    assert (passage.onward, passage.cut) == (ROLLED_BACK + READY, False)
    assert ear.answered(COMMITTED).onward == COMMITTED


def test_commit_that_is_spared_passes_both_ways() -> None:
    ear = an_ear(When.AFTER, strikes=False)

    assert ear.asked(COMMIT).onward == COMMIT
    assert ear.answered(COMMITTED + READY).onward == COMMITTED + READY
