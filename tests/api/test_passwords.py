"""Hashing passwords: the right parameters, a bounded pool, nothing cut off, nobody recognised."""

import asyncio
import re

import pytest

from api.passwords import Passwords
from db.engine import Busy

WORDS = "correct horse battery staple"


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(2)


async def test_hash_is_argon2id_of_at_least_the_recommended_cost(passwords: Passwords) -> None:
    kept = await passwords.hash(WORDS)

    found = re.fullmatch(r"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$[^$]{20,}\$.+", kept)
    assert found
    memory, passes, lanes = map(int, found.groups())
    assert memory >= 19456
    assert passes >= 2
    assert lanes >= 1
    assert kept != await passwords.hash(WORDS)
    assert not passwords.is_outdated(kept)
    assert passwords.is_outdated(kept.replace("t=2", "t=1"))


async def test_only_the_very_password_is_right(passwords: Passwords) -> None:
    kept = await passwords.hash(WORDS)

    assert await passwords.verify(WORDS, kept)
    for other in (WORDS + " ", WORDS.upper(), WORDS[:-1], "", WORDS + "\0"):
        assert not await passwords.verify(other, kept)


async def test_nothing_of_a_long_password_is_cut_off(passwords: Passwords) -> None:
    long = "0123456789abcdef" * 16
    kept = await passwords.hash(long)

    assert await passwords.verify(long, kept)
    assert not await passwords.verify(long[:-1] + "x", kept)


async def test_what_looks_the_same_is_the_same_password(passwords: Passwords) -> None:
    kept = await passwords.hash("caf\u00e9 society nine")

    assert await passwords.verify("cafe\u0301 society nine", kept)


@pytest.mark.parametrize("kept", [None, "", "x", "$argon2id$broken"])
async def test_who_has_no_password_has_no_right_one(passwords: Passwords, kept: str | None) -> None:
    assert not await passwords.verify(WORDS, kept)
    assert not await passwords.verify("", kept)


async def test_no_more_are_hashed_at_a_time_than_there_are_threads_and_too_many_are_sent_away() -> (
    None
):
    passwords = Passwords(1)

    answers = await asyncio.gather(
        *(passwords.hash(WORDS) for _ in range(40)), return_exceptions=True
    )

    refused = [answer for answer in answers if isinstance(answer, Busy)]
    assert len(refused) == 40 - 32
    assert len({answer for answer in answers if isinstance(answer, str)}) == 32
