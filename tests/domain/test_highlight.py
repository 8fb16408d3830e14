"""Hits are marked where they stand, and nothing of a text is lost or changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.highlight import Mark, marked, plain, snippet
from domain.search import Piece

CHERRY = Mark("cherries", "cherri", prefix=False, meant=())


@pytest.mark.parametrize(
    ("text", "mark", "hits"),
    [
        ("Cherry jam, CHERRIES", CHERRY, ["Cherry", "CHERRIES"]),
        ("Cherub", CHERRY, []),
        ("Lanterns & lans", Mark("lan", "lan", prefix=True, meant=()), ["Lanterns", "lans"]),
        ("Kid\u2019s caf\u00e9", Mark("kids", "kid", prefix=False, meant=()), ["Kid\u2019s"]),
        ("CAFE\u0301", Mark("cafe", "cafe", prefix=False, meant=()), ["CAFE\u0301"]),
        ("red lantern", Mark("lanten", None, prefix=False, meant=("lantern",)), ["lantern"]),
    ],
)  # fmt: skip
def test_words_are_marked_in_other_forms(text: str, mark: Mark, hits: list[str]) -> None:
    assert [piece.text for piece in marked(text, [mark]) if piece.hit] == hits


@given(st.text(max_size=80), st.text(min_size=1, max_size=8))
def test_pieces_are_the_text(text: str, word: str) -> None:
    pieces = marked(text, [Mark(word, word, prefix=True, meant=())])

    assert "".join(piece.text for piece in pieces) == text
    assert all(piece.text for piece in pieces)


_WORDS = st.text("abi'\u00e9", min_size=1, max_size=6)
_MARKS = st.builds(
    Mark, _WORDS, st.none() | _WORDS, st.booleans(), st.lists(_WORDS, max_size=2).map(tuple)
)


@given(_WORDS, st.lists(_MARKS, max_size=3))
def test_word_is_marked_exactly_if_a_mark_says_so(word: str, marks: list[Mark]) -> None:
    wanted = any(mark.hits(plain(word)) for mark in marks)

    assert marked(word, marks) == [Piece(word, hit=wanted)]


def test_a_snippet_is_of_whole_words_around_the_first_hit() -> None:
    text = "word " * 40 + "cherries " + "word " * 40

    pieces = snippet(text, [CHERRY])

    assert pieces is not None
    assert [piece.text for piece in pieces if piece.hit] == ["cherries"]
    assert len("".join(piece.text for piece in pieces)) < 140
    assert set("".join(piece.text for piece in pieces).split()) == {"word", "cherries"}
    assert snippet("nothing", [CHERRY]) is None
