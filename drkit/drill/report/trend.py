"""One scenario over time: how long each probe was out in each run, and in the last few by median and worst. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from drkit.drill.report import words
from drkit.drill.verdict import INVALID
from drkit.observe.text import columns, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from drkit.drill.verdict import Series, Verdict

LAST = 5
"""Runs that median and worst are of."""


@dataclass(frozen=True)
class Run:
    """One drill: its id, when it began (RFC 3339, UTC), and what it came to."""

    run: str
    started: str
    outcome: str


@dataclass(frozen=True)
class Point:
    """What one run says of one probe.

    Attributes:
        place: the run's, among all of the trend.
        seconds: of its longest outage, 0 where there was none; ``error`` to either side.
        window: what it was allowed.
        over: whether the outage came to its end.
        kept: whether the window was.
        counts: whether the run was valid: others prove nothing.
    """

    place: int
    seconds: float
    error: float
    window: float | None
    over: bool
    kept: bool
    counts: bool


@dataclass(frozen=True)
class Line:
    """One probe over time; median and worst (seconds) are of its last valid runs, None where there was none."""

    probe: str
    points: tuple[Point, ...]
    median: float | None
    worst: float | None
    of: int
    """How many runs these two are of."""


@dataclass(frozen=True)
class Trend:
    """A scenario's runs, the oldest first, and what each probe with a window was out for in them."""

    scenario: str
    runs: tuple[Run, ...]
    lines: tuple[Line, ...]

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)


def of(scenario: str, verdicts: Iterable[Verdict]) -> Trend:
    """The trend of a scenario; verdicts of others are left out."""
    made = sorted((each for each in verdicts if each.scenario == scenario), key=lambda each: (each.started, each.run))
    judged = [(place, each) for place, one in enumerate(made) for each in one.series if each.window is not None]
    names = dict.fromkeys(words.name(each) for _, each in judged)
    lines = []
    for name in names:
        points = [
            _point(place, each, counts=made[place].outcome != INVALID)
            for place, each in judged
            if words.name(each) == name
        ]
        lines.append(_line(name, points))
    return Trend(scenario, tuple(Run(each.run, each.started, each.outcome) for each in made), tuple(lines))


def _point(place: int, series: Series, *, counts: bool) -> Point:
    outage = words.longest(series)
    over = outage is None or outage.first_success is not None
    error, kept = (outage.error if outage else 0.0), (series.beyond or 0.0) <= 0
    return Point(place, series.longest, error, series.window, over, kept, counts)


def _line(name: str, points: Sequence[Point]) -> Line:
    last = [each.seconds for each in points if each.counts][-LAST:]
    return Line(name, tuple(points), median(last) if last else None, max(last, default=None), len(last))


def text(trend: Trend) -> list[str]:
    """The lines of ``drill report --trend``: a row for each run, the newest last, then what the last few come to."""
    if not trend.runs:
        return [printable(f"{trend.scenario}: no run of it has a verdict here")]
    headings = ["RUN", "VERDICT", *(printable(each.probe.upper()) for each in trend.lines)]
    rows = [
        [printable(run.run), run.outcome, *(_cell(line, place) for line in trend.lines)]
        for place, run in enumerate(trend.runs)
    ]
    for what, figures in (
        ("median", [each.median for each in trend.lines]),
        ("worst", [each.worst for each in trend.lines]),
        ("window", [each.points[-1].window for each in trend.lines]),
    ):
        rows.append([what, "", *(words.NOTHING if each is None else f"{each:.1f} s" for each in figures)])
    return [printable(f"{trend.scenario}: {headline(trend)}"), "", *columns(headings, rows)]


def _cell(line: Line, place: int) -> str:
    point = next((each for each in line.points if each.place == place), None)
    if point is None:
        return words.NOTHING
    return length(point) + ("" if point.kept else " exceeded")


def length(point: Point) -> str:
    """How long a probe was out in one run."""
    if not point.seconds:
        return "no outage"
    return words.about(point.seconds, point.error) if point.over else f"≥ {point.seconds:.1f} s"


def headline(trend: Trend) -> str:
    """How many runs, and what they came to; median and worst are of the last valid ones."""
    counts = {outcome: sum(each.outcome == outcome for each in trend.runs) for outcome in words.OUTCOMES}
    said = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    runs = f"{len(trend.runs)} {'run' if len(trend.runs) == 1 else 'runs'}"
    return f"{runs}: {said}; median and worst are of the last {LAST} valid ones"
