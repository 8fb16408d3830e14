"""The shelf of a process has room for so many bytes, and keeps what is wanted and newest."""

import pytest

from db.shelf import ENTRY_BYTES, Entry, Shelf
from db.snapshots import Snapshot


def an_entry(value: object = "value", *, number: int = 1, size_bytes: int = 1000) -> Entry:
    return Entry(value, ("tag",), Snapshot(number, number, ()), 0.0, size_bytes)


@pytest.fixture
def shelf() -> Shelf:
    """A shelf for three entries."""
    return Shelf(3 * (1000 + ENTRY_BYTES))


def test_what_was_wanted_least_recently_makes_room(shelf: Shelf) -> None:
    for key in ("a", "b", "c"):
        shelf.put(key, an_entry())
    shelf.find("a")

    shelf.put("d", an_entry())

    assert [key for key in ("a", "b", "c", "d") if shelf.find(key)] == ["a", "c", "d"]


def test_what_is_larger_than_all_the_room_leaves_the_rest_where_it_is(shelf: Shelf) -> None:
    shelf.put("a", an_entry())

    assert not shelf.put("b", an_entry(size_bytes=10_000))

    assert shelf.find("a")
    assert shelf.find("b") is None


def test_entry_that_grows_takes_the_room_of_others(shelf: Shelf) -> None:
    for key in ("a", "b", "c"):
        shelf.put(key, an_entry())

    shelf.put("c", an_entry(size_bytes=2500))

    assert [key for key in ("a", "b", "c") if shelf.find(key)] == ["b", "c"]


def test_older_entry_does_not_replace_a_newer_one(shelf: Shelf) -> None:
    shelf.put("a", an_entry("new", number=2))

    assert not shelf.put("a", an_entry("old", number=1))

    found = shelf.find("a")
    assert found is not None
    assert found.value == "new"


def test_shelf_without_room_keeps_nothing() -> None:
    shelf = Shelf(0)

    assert not shelf.put("a", an_entry(size_bytes=0))
    assert shelf.find("a") is None
