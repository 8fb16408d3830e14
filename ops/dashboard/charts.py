"""Charts: from values to the paths of an SVG, drawn by the macro `chart` of `parts.html`."""

import math
from collections.abc import Iterator, Sequence

import msgspec

WIDTH, HEIGHT = 600, 100
# A lone value between two gaps is drawn as wide as this.
_DOT = 1.0

Values = Sequence[float | None]


class Series(msgspec.Struct, frozen=True):
    """Values at equal distances, None where there is none; `tone` is the class of its colour."""

    name: str
    values: Values
    tone: str = "c1"


class Line(msgspec.Struct, frozen=True):
    """A series as it is drawn; `area` is what lies below it."""

    name: str
    tone: str
    path: str
    area: str


class Chart(msgspec.Struct, frozen=True):
    """A chart, with what it says for who does not see it."""

    title: str
    says: str
    ceiling: float
    lines: Sequence[Line]
    series: Sequence[Series]


def chart(title: str, *series: Series, unit: str) -> Chart:
    """Draw series to one scale, from zero to a round number above all of them."""
    top = max((v for one in series for v in one.values if v is not None), default=0.0)
    ceiling = rounded_up(top)
    lines = [
        Line(one.name, one.tone, path(one.values, ceiling), area(one.values, ceiling))
        for one in series
    ]
    return Chart(title, "; ".join(_said(one, unit) for one in series), ceiling, lines, series)


def _said(one: Series, unit: str) -> str:
    known = [value for value in one.values if value is not None]
    if not known:
        return f"{one.name}: no values"
    last = one.values[-1]
    now = "none" if last is None else f"{last:g}"
    return f"{one.name}: now {now}, between {min(known):g} and {max(known):g} {unit}"


def rounded_up(value: float) -> float:
    """Give the next 1, 2 or 5 times a power of ten; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))


def path(values: Values, ceiling: float) -> str:
    """Draw a line, with gaps where there is no value."""
    return "".join(f"M{_joined(run)}" for run in _runs(values, ceiling))


def area(values: Values, ceiling: float) -> str:
    """Draw what lies below a line."""
    return "".join(
        f"M{run[0][0]:g} {HEIGHT}L{_joined(run)}L{run[-1][0]:g} {HEIGHT}Z"
        for run in _runs(values, ceiling)
    )


_Point = tuple[float, float]


def _joined(points: Sequence[_Point]) -> str:
    return "L".join(f"{x:g} {y:g}" for x, y in points)


def _runs(values: Values, ceiling: float) -> Iterator[list[_Point]]:
    """Give the points of each stretch without a gap."""
    step = WIDTH / max(len(values) - 1, 1)
    run: list[_Point] = []
    for n, value in enumerate([*values, None]):
        if value is not None:
            share = min(max(value / ceiling, 0.0), 1.0)
            run.append((round(n * step, 1), round(HEIGHT * (1 - share), 1)))
        elif run:
            yield run if len(run) > 1 else [run[0], (run[0][0] + _DOT, run[0][1])]
            run = []
