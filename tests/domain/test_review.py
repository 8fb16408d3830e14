"""What a review is and counts for, and what may stand in it."""

import msgspec
import pytest

from domain.review import Author, Prose, ReviewState, Weight, state_of_writing, weight


@pytest.mark.parametrize("was", [None, *ReviewState])
def test_nothing_is_shown_that_support_would_have_to_read(was: ReviewState | None) -> None:
    assert state_of_writing(was, moderated=True) is ReviewState.PENDING


@pytest.mark.parametrize(
    ("was", "then"),
    [
        (None, ReviewState.PUBLISHED),
        (ReviewState.PENDING, ReviewState.PUBLISHED),
        (ReviewState.PUBLISHED, ReviewState.PUBLISHED),
        (ReviewState.REJECTED, ReviewState.PENDING),
    ],
)
def test_without_moderation_only_what_was_rejected_is_read_again(
    was: ReviewState | None, then: ReviewState
) -> None:
    assert state_of_writing(was, moderated=False) is then


def test_only_what_everybody_sees_counts() -> None:
    counted = {state: weight(state, 4) for state in ReviewState}

    assert counted.pop(ReviewState.PUBLISHED) == Weight(1, 4)
    assert set(counted.values()) == {Weight(0, 0)}


@pytest.mark.parametrize("text", ["It holds.", "One.\n\nTwo.", "<script>1</script>", "\n.\n"])
def test_text_may_have_lines(text: str) -> None:
    assert msgspec.convert(text, Prose) == text


@pytest.mark.parametrize("text", ["", " \n ", "a\tb", "a\0b", "a\r\nb", "a\u202eb", "x" * 5001])
def test_text_has_no_other_control_characters_and_an_end(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, Prose)


@pytest.mark.parametrize("name", ["ann@example.com", "@", "Ann\nB.", "x" * 51, " "])
def test_no_author_is_called_like_an_address(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(name, Author)


@pytest.mark.parametrize(
    ("counted", "average"),
    [
        (Weight(), None),
        (Weight(1, 5), 5.0),
        (Weight(3, 14), 4.67),
        (Weight(8, 33), 4.13),
    ],
)
def test_average_has_two_digits_and_halves_count_up(counted: Weight, average: float | None) -> None:
    assert counted.average == average
