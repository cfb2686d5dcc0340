"""A trend as one HTML page: a picture for each probe, a dot for each run against the window. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from drkit.drill.report import trend as trends
from drkit.drill.report import words
from drkit.drill.report.rows import shortened
from drkit.observe.page import document, facts, table
from drkit.observe.text import markup

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.drill.report.trend import Line, Point, Run, Trend

_STYLE = Path(__file__).with_name("page.css")
_WIDTH, _HEIGHT = 1080.0, 190.0
_LEFT, _RIGHT = 304.0, 1040.0
_TOP, _BASE = 22.0, 156.0
_WIDEST = 90.0
"""Pixels between two runs, at most: few of them stand together on the left."""
_DATE = 84.0
"""Pixels that a date takes, with room beside it."""
_LEVELS = 4
_DOT = 4.5


def html(trend: Trend) -> str:
    """The page."""
    return document(f"Trend of {trend.scenario}", _STYLE, _body(trend), "drkit, trend of drills")


def _body(trend: Trend) -> Iterator[str]:
    yield f'<p class="state">{markup(trends.headline(trend))}</p>'
    outcomes = [each.outcome for each in trend.runs]
    shown = [(outcome, str(outcomes.count(outcome)), "") for outcome in words.OUTCOMES if outcome in outcomes]
    yield facts(shown)
    yield "<h2>How long each probe was out</h2>\n<figure>"
    for number, line in enumerate(trend.lines):
        yield '<div class="scroll chart" tabindex="0">'
        yield "\n".join(_picture(line, trend.runs, number))
        yield "</div>"
    yield '<figcaption><ul class="legend"><li><i class="dot good"></i>kept</li><li><i class="dot bad"></i>exceeded</li>'
    yield '<li><i class="dot void"></i>invalid: proves nothing</li><li><i class="limit"></i>the window</li></ul>'
    yield "</figcaption></figure>"
    headings = [("began", 0), ("verdict", 0), *((markup(each.probe), 1) for each in trend.lines)]
    rows = [
        (_when(run), run.outcome, *(_figure(line, place) for line in trend.lines))
        for place, run in enumerate(trend.runs)
    ]
    yield from table("Runs", headings, list(reversed(rows)))


def _when(run: Run) -> str:
    return f"{run.started[:16].replace('T', ' ')} UTC"


def _figure(line: Line, place: int) -> str:
    return next((trends.length(each) for each in line.points if each.place == place), words.NOTHING)


def _picture(line: Line, runs: Sequence[Run], number: int) -> Iterator[str]:
    step = min((_RIGHT - _LEFT - 40) / max(len(runs) - 1, 1), _WIDEST)
    places = [_LEFT + 20 + place * step for place in range(len(runs))]
    top = max(
        [0.1, *(each.seconds + each.error for each in line.points), *(each.window or 0.0 for each in line.points)]
    )
    yield (
        f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" width="{_WIDTH:g}" height="{_HEIGHT:g}" role="img" '
        f'aria-labelledby="trend-{number}-title trend-{number}-text">'
    )
    yield f'<title id="trend-{number}-title">Longest outages of {markup(line.probe)}</title>'
    yield f'<desc id="trend-{number}-text">{len(line.points)} runs; the same figures are in the table below.</desc>'
    yield from _label(line)
    for level in _levels(top):
        y = _y(level, top)
        yield f'<line class="grid" x1="{_LEFT:g}" y1="{y:.1f}" x2="{_RIGHT:g}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{_LEFT - 8:g}" y="{y + 4:.1f}" text-anchor="end">{level:g} s</text>'
    yield from _dates(runs, places)
    yield from _limit(line.points, places, step, top)
    for point in line.points:
        yield from _dot(point, runs[point.place], places[point.place], top)
    yield "</svg>"


def _label(line: Line) -> Iterator[str]:
    name = markup(shortened(line.probe))
    yield f'<text class="label" x="16" y="40">{name}<title>{markup(line.probe)}</title></text>'
    for row, (what, seconds) in enumerate((("median", line.median), ("worst", line.worst))):
        said = words.NOTHING if seconds is None else f"{seconds:.1f} s"
        y = 66 + 20 * row
        yield f'<text class="tick" x="16" y="{y}">{what}</text><text class="figure" x="72" y="{y}">{said}</text>'
    window = words.window(line.points[-1].window)
    yield f'<text class="tick" x="16" y="106">window</text><text class="figure" x="72" y="106">{window}</text>'
    yield f'<text class="tick" x="16" y="132">of the last {line.of}</text>'


def _y(seconds: float, top: float) -> float:
    return _BASE - (_BASE - _TOP) * seconds / (top * 1.08)


def _levels(top: float) -> list[float]:
    """Round lengths up to the top."""
    unit = 1.0
    while True:
        for factor in (0.1, 0.2, 0.5, 1, 2, 5):
            step = unit * factor
            if top / step <= _LEVELS:
                return [round(step * place, 1) for place in range(int(top / step) + 1)]
        unit *= 100


def _dates(runs: Sequence[Run], places: Sequence[float]) -> Iterator[str]:
    """The days of runs, each once, where there is room."""
    last, day = float("-inf"), ""
    for run, x in zip(runs, places, strict=True):
        if run.started[:10] != day and x - last >= _DATE:
            last, day = x, run.started[:10]
            yield f'<text class="tick" x="{x:.1f}" y="{_BASE + 22:g}" text-anchor="middle">{markup(day)}</text>'


def _limit(points: Sequence[Point], places: Sequence[float], step: float, top: float) -> Iterator[str]:
    """The window: a line that steps where it was changed."""
    half = min(step / 2, 20)
    path, before = "", None
    for point in points:
        if point.window is None:
            before = None
            continue
        x, y = places[point.place], _y(point.window, top)
        path += f"M{x - half:.1f} {y:.1f}" if before is None else f"H{x - step / 2:.1f}V{y:.1f}"
        path += f"H{x + half:.1f}"
        before = point
    if path:
        yield f'<path class="limit" d="{path}"/>'


def _dot(point: Point, run: Run, x: float, top: float) -> Iterator[str]:
    look = "void" if not point.counts else "good" if point.kept else "bad"
    y = _y(point.seconds, top)
    said = f"{run.run}: {run.outcome}\n{trends.length(point)}"
    yield f'<g class="dot {look}">'
    if point.error:
        high, low = _y(point.seconds + point.error, top), _y(max(point.seconds - point.error, 0.0), top)
        yield f'<path class="error" d="M{x - 4:.1f} {high:.1f}h8m-4 0V{low:.1f}m-4 0h8"/>'
    # What exceeded its window is a diamond: no colour has to be told from another.
    if look == "bad":
        yield f'<path d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z"/>'
    else:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_DOT}"/>'
    yield f"<title>{markup(said)}</title></g>"
