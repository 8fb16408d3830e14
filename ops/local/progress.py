"""Progress of long work: a bar on a terminal, now and then a line everywhere else."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

# Often enough to see that it lives, seldom enough for a log.
_LINE_EVERY_S = 10.0


class Progress(Protocol):
    """Work under way."""

    def advance(self) -> None:
        """One more is done."""
        ...

    def reach(self, done: int) -> None:
        """So many are done."""
        ...


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")


class _Bar:
    def __init__(self, bars: Bars, title: str, total: int) -> None:
        self._bars = bars
        self._task = bars.add_task(title, total=total)

    def advance(self) -> None:
        self._bars.advance(self._task)

    def reach(self, done: int) -> None:
        self._bars.update(self._task, completed=done)


class _Lines:
    def __init__(self, console: Console, title: str, total: int) -> None:
        self._console = console
        self._title, self._total, self._done = title, total, 0
        self._began = self._told = time.monotonic()

    def advance(self) -> None:
        self.reach(self._done + 1)

    def reach(self, done: int) -> None:
        self._done = done
        if time.monotonic() - self._told > _LINE_EVERY_S:
            self.tell()

    def tell(self) -> None:
        """Write how far it is, at what rate and how long the rest takes at this rate."""
        self._told = time.monotonic()
        spent = self._told - self._began
        rate = self._done / spent if spent else 0.0
        left = self._total - self._done
        rest = f", {left / rate:,.0f} s left" if left and rate else ""
        so_far = f"{self._done:,} of {self._total:,} in {spent:.1f} s, {rate:,.0f}/s{rest}"
        self._console.print(f"{self._title}: {so_far}", highlight=False, soft_wrap=True)


@contextmanager
def shown(console: Console, title: str, total: int) -> Generator[Progress]:
    """Show the progress of work while inside."""
    if not console.is_terminal:
        lines = _Lines(console, title, total)
        yield lines
        lines.tell()
        return
    columns = (
        TextColumn("{task.description:24}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Bars(*columns, console=console) as bars:
        yield _Bar(bars, title, total)
