"""Codes of mails: derived, of one purpose each, and never guessed."""

import pytest

from db.ids import new_id
from domain import code
from domain.code import Purpose
from domain.secret import decoded, encoded

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
ID = new_id()


def test_code_is_the_same_however_often_it_is_written_and_names_its_id() -> None:
    written = code.write(ID, Purpose.RESET, KEY)

    assert written == code.write(ID, Purpose.RESET, KEY)
    assert code.read(written, Purpose.RESET, [KEY]) == ID
    assert code.read(written, Purpose.RESET, [OTHER, KEY]) == ID


def test_code_of_a_key_that_is_gone_is_none() -> None:
    assert code.read(code.write(ID, Purpose.RESET, OTHER), Purpose.RESET, [KEY]) is None
    assert code.read(code.write(ID, Purpose.RESET, KEY), Purpose.RESET, []) is None


@pytest.mark.parametrize("purpose", [p for p in Purpose if p is not Purpose.RESET])
def test_code_is_good_for_its_purpose_only(purpose: Purpose) -> None:
    assert code.read(code.write(ID, purpose, KEY), Purpose.RESET, [KEY]) is None


def test_proof_of_one_id_is_none_of_another() -> None:
    raw = decoded(code.write(ID, Purpose.RESET, KEY))

    assert code.read(encoded(new_id().bytes + raw[16:]), Purpose.RESET, [KEY]) is None


def test_code_with_any_bit_turned_is_none() -> None:
    written = code.write(ID, Purpose.RESET, KEY)
    turned = [
        written[:place] + chr(ord(written[place]) ^ bit) + written[place + 1 :]
        for place in range(len(written))
        for bit in (1, 2, 4, 8, 16, 32)
    ]

    assert [t for t in turned if code.read(t, Purpose.RESET, [KEY])] == []


@pytest.mark.parametrize("text", ["", "A", "ü", "A" * 63, "A" * 65, "A" * 10_000, "%%%%", "\0"])
def test_what_is_no_code_is_none(text: str) -> None:
    assert code.read(text, Purpose.RESET, [KEY]) is None
