"""Patches: each takes one guard away from one file, and names the tests that should notice."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

PATCHES = Path(__file__).parent / "patches"


class UnknownPatch(Exception):
    """Somebody asked for a patch that there is not."""


class Misfit(Exception):
    """A patch does not fit the code any more."""


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    guard: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    raises: str | None = None


class Patch(_Entry, frozen=True, kw_only=True):
    """What an entry of `patches/*.toml` says.

    `old` stands in `file` once and becomes `new`, without the guard. The `tests` then fail by
    an assertion, or `raises` names the exception of the platform that they fail by.
    """

    name: str

    def applied(self, tree: Path) -> str:
        """Give the text of the file without the guard; raises Misfit."""
        text = (tree / self.file).read_text() if (tree / self.file).exists() else ""
        if (found := text.count(self.old)) != 1:
            raise Misfit(f"{self.name}: its `old` stands {found} times in {self.file}, not once.")
        return text.replace(self.old, self.new)


def load(folder: Path = PATCHES) -> Mapping[str, Patch]:
    """Read all patches, by name; raises Misfit for a name that two files give."""
    patches: dict[str, Patch] = {}
    for file in sorted(folder.glob("*.toml")):
        entries = msgspec.toml.decode(file.read_bytes(), type=dict[str, _Entry])
        if twice := entries.keys() & patches.keys():
            raise Misfit(f"{file.name}: {', '.join(sorted(twice))} is another patch already.")
        patches |= {
            name: Patch(name=name, **msgspec.structs.asdict(entry))
            for name, entry in entries.items()
        }
    return patches


def chosen(names: str) -> Sequence[Patch]:
    """Choose patches by name, with commas between; all if none is named. Raises UnknownPatch."""
    patches = load()
    wanted = [name.strip() for name in names.split(",") if name.strip()] or list(patches)
    if unknown := [name for name in wanted if name not in patches]:
        raise UnknownPatch(f"No patch {', '.join(unknown)}; there are: {', '.join(patches)}.")
    return [patches[name] for name in dict.fromkeys(wanted)]
