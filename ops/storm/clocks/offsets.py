"""By how much the wall clocks of a storm's processes are off, each in a file of its own."""

from collections.abc import Mapping
from pathlib import Path

from ops.storm.clocks import sitecustomize
from ops.storm.clocks.sitecustomize import OFFSET, SETTING


class Clocks:
    """The clocks of processes by their names; right at first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def environment(self, name: str) -> Mapping[str, str]:
        """Give what has a Python process go by its clock."""
        self.put_off(name, 0.0)
        found = Path(sitecustomize.__file__).parent
        return {"PYTHONPATH": str(found), SETTING: str(self._file(name))}

    def put_off(self, name: str, seconds: float) -> None:
        """Step a clock, of a process that runs or of one to come."""
        file = self._file(name)
        if not file.exists():
            file.write_bytes(OFFSET.pack(seconds))
            return
        # In place, for those who have it mapped.
        with file.open("r+b") as opened:
            opened.write(OFFSET.pack(seconds))

    def mend(self) -> None:
        """Put all clocks right."""
        for file in self._folder.iterdir():
            self.put_off(file.name, 0.0)

    def _file(self, name: str) -> Path:
        return self._folder / name
