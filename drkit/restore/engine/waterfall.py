"""The picture of a restore: a bar for each run of a step, by kind, the critical path marked. Pure: SVG text.

Colours and strokes are classes, which the page gives their meaning in light and dark. Nothing but position and words
carries what the picture says: the table beside it has the same figures.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from drkit.observe.axis import Axis
from drkit.observe.text import duration, markup
from drkit.restore.engine import journal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from drkit.restore.engine.report import Report, StepReport

OTHER = "other"
_WIDTH = 1080.0
_CHARACTER = 7.3
"""Pixels for a character of the labels, which are set in a fixed pitch of 12 pixels."""
_LONGEST = 38
_BARS_LEFT = 16 + _CHARACTER * (_LONGEST + 2)
_BARS_RIGHT = _WIDTH - 104.0
_TOP = 52.0
_ROW = 24.0
_BAR = 14.0
_THINNEST = 2.0
_FINE = 10.0


def svg(report: Report, kinds: Mapping[str, str]) -> str:
    """The picture.

    Args:
        report: of the restore.
        kinds: of its actions, by name.
    """
    return "\n".join(_Picture(report, kinds).lines())


class _Picture:
    def __init__(self, report: Report, kinds: Mapping[str, str]) -> None:
        self._report, self._kinds = report, kinds
        self._axis = Axis(report.attempts, _BARS_LEFT, _BARS_RIGHT)
        runs = sorted((*report.steps, *report.cut_short), key=lambda run: run.began)
        self._rows = {step: row for row, step in enumerate(dict.fromkeys(run.id for run in runs))}
        self._runs = runs
        self._bottom = _TOP + _ROW * len(self._rows)

    def lines(self) -> Iterator[str]:
        height = self._bottom + 12
        yield (
            f'<svg viewBox="0 0 {_WIDTH:g} {height:g}" width="{_WIDTH:g}" height="{height:g}" role="img" '
            'aria-labelledby="waterfall-title waterfall-text">'
        )
        yield f'<title id="waterfall-title">Steps of the restore to {markup(self._report.plan.target)}</title>'
        yield (
            f'<desc id="waterfall-text">{len(self._rows)} steps in {duration(self._report.seconds)}; '
            "the same figures are in the table of steps.</desc>"
        )
        yield f"<defs>{_hatching('pause', 'hatch')}{_hatching('cut', 'hatch bad')}</defs>"
        yield from self._bands()
        yield from self._scale()
        yield from self._labels()
        yield from self._chain()
        for run in self._runs:
            yield from self._bar(run)
        yield "</svg>"

    def _bands(self) -> Iterator[str]:
        for row in range(1, len(self._rows), 2):
            yield f'<rect class="band" x="0" y="{_TOP + row * _ROW:g}" width="{_WIDTH:g}" height="{_ROW:g}"/>'

    def _scale(self) -> Iterator[str]:
        for x, seconds in self._axis.ticks():
            yield f'<line class="grid" x1="{x:.1f}" y1="{_TOP - 6:g}" x2="{x:.1f}" y2="{self._bottom:g}"/>'
            yield f'<text class="tick" x="{x:.1f}" y="{_TOP - 12:g}" text-anchor="middle">{_clock(seconds)}</text>'
        for gap in self._axis.gaps:
            width = gap.right - gap.left
            yield (
                f'<rect class="gap" x="{gap.left:.1f}" y="{_TOP - 6:g}" width="{width:.1f}" '
                f'height="{self._bottom - _TOP + 6:g}"><title>nothing ran for {duration(gap.seconds)}</title></rect>'
            )
            middle = (gap.left + gap.right) / 2
            yield f'<text class="tick" x="{middle:.1f}" y="14" text-anchor="middle">{duration(gap.seconds)}</text>'

    def _labels(self) -> Iterator[str]:
        took = {run.id: run.seconds for run in self._report.steps}
        for step, row in self._rows.items():
            y = _TOP + row * _ROW + _ROW / 2
            critical = step in self._report.critical.steps
            mark = "◆ " if critical else "  "
            name = step if len(step) <= _LONGEST else f"{step[: _LONGEST - 1]}…"
            yield (
                f'<text class="label{" critical" if critical else ""}" x="8" y="{y + 4:g}" xml:space="preserve">'
                f"{mark}{markup(name)}<title>{markup(step)}</title></text>"
            )
            text = duration(took[step]) if step in took else "not done"
            yield f'<text class="took" x="{_WIDTH - 8:g}" y="{y + 4:g}" text-anchor="end">{text}</text>'

    def _bar(self, run: StepReport) -> Iterator[str]:
        y = _TOP + self._rows[run.id] * _ROW + (_ROW - _BAR) / 2
        left, width = self._span(run)
        done = run.status == journal.DONE
        classes = ["bar", self._kinds.get(run.action, OTHER)]
        classes += ["critical"] if done and run.id in self._report.critical.steps else []
        shape = f'x="{left:.1f}" y="{y:g}" width="{width:.1f}" height="{_BAR:g}" rx="2"'
        yield f'<g class="run"><rect class="{" ".join(classes)}" {shape}/>'
        if not done:
            yield f'<rect class="unfinished" {shape}/>'
        after = "" if done else f"; {run.status}{': ' if run.error else ''}{run.error}"
        yield (
            f"<title>{markup(run.id)}: {markup(run.title)}\n"
            f"from {_clock(run.began)}, {duration(run.seconds)}{markup(after)}</title></g>"
        )

    def _span(self, run: StepReport) -> tuple[float, float]:
        """Left edge and width; what took no time is seen all the same, and nothing leaves the picture."""
        left = self._axis.x(run.began)
        width = max(self._axis.x(run.began + run.seconds) - left, _THINNEST)
        return min(left, _BARS_RIGHT - width), width

    def _chain(self) -> Iterator[str]:
        """Lines from each step of the critical path to the next."""
        done = {run.id: run for run in self._report.steps}
        for before, after in pairwise(step for step in self._report.critical.steps if step in done):
            left, width = self._span(done[before])
            start = (left + width, _TOP + self._rows[before] * _ROW + _ROW / 2)
            end = (self._span(done[after])[0], _TOP + self._rows[after] * _ROW + _ROW / 2)
            yield f'<path class="chain" d="M{start[0]:.1f} {start[1]:g}V{end[1]:g}H{end[0]:.1f}"/>'


def _hatching(name: str, look: str) -> str:
    return (
        f'<pattern id="{name}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        f'<line class="{look}" x1="0" y1="0" x2="0" y2="6"/></pattern>'
    )


def _clock(seconds: float) -> str:
    """``m:ss`` since the beginning, with hours where there are any, and with tenths in the first ten seconds."""
    if seconds < _FINE:
        return f"0:{seconds:04.1f}"
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
