"""One row of a drill's timeline: a probe's label, latency, strip, its outages against their window. Pure: SVG text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.drill.record import FAILED, OK, UNKNOWN
from drkit.drill.report import strips, words
from drkit.observe.text import markup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drkit.drill.report.strips import Cell, Questions
    from drkit.drill.verdict import Outage, Series

LABEL_FITS = 32
"""Characters of a label."""
_MARGIN = 16.0
_FIGURES = 1064.0
_STRIP, _BASE = 18.0, 44.0
"""How high a strip is, and where in its row it stands (pixels from the row's top)."""
_HEIGHTS = {OK: 9.0, UNKNOWN: 13.0, FAILED: _STRIP}
_RULER, _RULER_HEIGHT = 50.0, 7.0
_PLAIN, _WITH_OUTAGES = 56.0, 70.0
_LATENCY_BASE, _LATENCY_HEIGHT = 24.0, 16.0
_QUICKEST, _SLOWEST = 0.001, 10.0
"""Seconds at the bottom and at the top of the latency's line: it is logarithmic."""
_GAP_FROM = 4.0
"""Pixels from which a question is wide enough for a gap behind it."""
_SMALL = 6.75


def shortened(name: str) -> str:
    """A name that fits, with a mark where it was cut."""
    return name if len(name) <= LABEL_FITS else f"{name[: LABEL_FITS - 1]}…"


@dataclass(frozen=True)
class Row:
    """A row: where it is and what it is drawn by."""

    top: float
    height: float
    lines: tuple[str, ...]


def row(
    series: Series,
    asked: Questions,
    top: float,
    x: Callable[[float], float],
    plot: tuple[float, float],
    origin: float,
) -> Row:
    """The row of one series.

    Args:
        series: what the judge says of it.
        asked: its questions.
        top: where it begins, in pixels.
        x: where a moment is, of seconds since the record's begin.
        plot: where time begins and ends, in pixels.
        origin: when the report's clock stands at 0.
    """
    drawn = _Row(series, asked, top, x, plot, origin)
    return Row(top, _WITH_OUTAGES if series.outages else _PLAIN, tuple(drawn.lines()))


class _Row:
    def __init__(
        self,
        series: Series,
        asked: Questions,
        top: float,
        x: Callable[[float], float],
        plot: tuple[float, float],
        origin: float,
    ) -> None:
        self._series, self._asked, self._top, self._x, self._plot, self._origin = series, asked, top, x, plot, origin
        self._cells = asked.cells(series.every)

    def lines(self) -> Iterator[str]:
        for outage in self._series.outages:
            yield from self._shade(outage)
        yield from self._label()
        yield from self._latency()
        yield from self._strip()
        for outage in self._series.outages:
            yield from self._ruler(outage)
        yield from self._lengths()

    def _label(self) -> Iterator[str]:
        series, y = self._series, self._top
        name = words.name(series)
        shown, title = shortened(name), markup(f"{name}\n{series.kind}, every {series.every:g} s\n{series.where}")
        yield f'<text class="label" x="{_MARGIN:g}" y="{y + 28:g}">{markup(shown)}<title>{title}</title></text>'
        where = markup(shortened(series.where))
        yield f'<text class="tick" x="{_MARGIN:g}" y="{y + 44:g}">{where}</text>'
        outage = words.longest(series)
        longest = "no outage" if outage is None else words.about(outage.seconds, outage.error)
        longest = longest if outage is None or outage.first_success is not None else f"≥ {outage.seconds:.1f} s"
        look = "" if series.beyond is None else " good" if series.beyond <= 0 else " bad"
        yield f'<text class="figure" x="{_FIGURES:g}" y="{y + 28:g}" text-anchor="end">{longest}</text>'
        judged = words.by_how_much(series)
        yield f'<text class="tick{look}" x="{_FIGURES:g}" y="{y + 44:g}" text-anchor="end">{judged}</text>'

    def _strip(self) -> Iterator[str]:
        left, right = self._plot
        base = self._top + _BASE
        said = f"{words.name(self._series)}: {words.failures(self._series)} failed"
        yield f'<g class="strip"><title>{markup(said)}</title>'
        yield f'<rect class="ground" x="{left:g}" y="{base - _STRIP:g}" width="{right - left:g}" height="{_STRIP:g}"/>'
        wide = len(self._cells) > 0 and (right - left) / len(self._cells) >= _GAP_FROM
        drawn = self._cells if wide else list(strips.runs(self._cells))
        for outcome, height in _HEIGHTS.items():
            path = "".join(self._block(each, height, 1.0 if wide else 0.0) for each in drawn if each.outcome == outcome)
            if path:
                yield f'<path class="{outcome}" d="{path}"/>'
        yield "</g>"

    def _block(self, cell: Cell, height: float, gap: float) -> str:
        left, right = self._x(cell.began), self._x(cell.ended)
        width = max(right - left - gap, 1.0)
        return f"M{left:.1f} {self._top + _BASE:g}v{-height:g}h{width:.1f}v{height:g}z"

    def _latency(self) -> Iterator[str]:
        path, down = [], False
        for cell in self._cells:
            if cell.latency is None:
                down = False
                continue
            share = math.log(max(cell.latency, _QUICKEST) / _QUICKEST) / math.log(_SLOWEST / _QUICKEST)
            y = self._top + _LATENCY_BASE - _LATENCY_HEIGHT * min(share, 1.0)
            middle = self._x((cell.began + cell.ended) / 2)
            path.append(f"{'L' if down else 'M'}{middle:.1f} {y:.1f}")
            down = True
        if path:
            series = self._series
            median, slow = (words.latency(series, each) for each in (series.latency_p50, series.latency_p99))
            said = f"latency of successes: median {median}, 99th percentile {slow}"
            yield f'<path class="latency" d="{"".join(path)}"><title>{said}</title></path>'

    def _shade(self, outage: Outage) -> Iterator[str]:
        left, right = self._span(outage)
        # Not to the row's edges: those of two rows are told apart.
        yield (
            f'<rect class="outage" x="{left:.1f}" y="{self._top + 3:g}" width="{right - left:.1f}" '
            f'height="{_WITH_OUTAGES - 6:g}" rx="3"><title>{markup(self._said(outage))}</title></rect>'
        )

    def _said(self, outage: Outage) -> str:
        end = outage.first_failure + outage.seconds
        moments = (
            ("first failure", outage.first_failure),
            ("last failure", outage.last_failure),
            ("first success", outage.first_success),
        )
        lines = [
            f"{words.name(self._series)}: out for {words.length(outage)}",
            ", ".join(f"{what} {words.moment(at, self._origin)}" for what, at in moments),
            f"{outage.failed} of {outage.sent} failed; {outage.flapped} succeeded before it was over",
            self._asked.reasons(outage.first_failure, end),
        ]
        return "\n".join(filter(None, lines))

    def _span(self, outage: Outage) -> tuple[float, float]:
        left = self._x(outage.first_failure)
        return left, max(self._x(outage.first_failure + outage.seconds), left + 1)

    def _ruler(self, outage: Outage) -> Iterator[str]:
        """How much of the window an outage took, to the same scale, and what it took beyond."""
        y = self._top + _RULER
        left, right = self._span(outage)
        window = self._series.window
        allowed = right if window is None else self._x(outage.first_failure + window)
        for look, start, end in (("within", left, min(right, allowed)), ("beyond", allowed, right)):
            if end > start:
                yield (
                    f'<rect class="{look}" x="{start:.1f}" y="{y:g}" width="{end - start:.1f}" '
                    f'height="{_RULER_HEIGHT:g}"/>'
                )
        if window is not None:
            bottom = y + _RULER_HEIGHT
            yield f'<path class="window" d="M{left:.1f} {bottom + 0.5:g}H{allowed:.1f}M{allowed:.1f} {y - 3:g}v13"/>'

    def _lengths(self) -> Iterator[str]:
        """How long the outages were, the longest first, where there is room beside their rulers."""
        taken = [self._ruled(each) for each in self._series.outages]
        for outage in sorted(self._series.outages, key=lambda each: -each.seconds):
            text = words.of_window(self._series, outage)
            left, right = self._ruled(outage)
            width = _SMALL * len(text)
            for anchor, at, span in (
                ("start", right + 7, (right + 1, right + 7 + width)),
                ("end", left - 7, (left - 7 - width, left - 1)),
            ):
                free = all(span[1] <= other[0] or other[1] <= span[0] for other in taken)
                if free and self._plot[0] <= span[0] and span[1] <= self._plot[1]:
                    taken.append(span)
                    y = self._top + _RULER + _RULER_HEIGHT
                    yield f'<text class="said" x="{at:.1f}" y="{y:g}" text-anchor="{anchor}">{markup(text)}</text>'
                    break

    def _ruled(self, outage: Outage) -> tuple[float, float]:
        left, right = self._span(outage)
        return left, max(right, self._x(outage.first_failure + (self._series.window or 0.0)))
