"""Where the seconds of the longest outages went, as bars: measured, and beside it predicted. Pure: SVG text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.drill.report import words
from drkit.drill.report.rows import shortened
from drkit.drill.verdict import OTHER, PARTS
from drkit.observe.axis import Axis
from drkit.observe.text import markup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from drkit.drill.verdict import Series, Verdict

WIDTH = 1080.0
_LEFT, _RIGHT = 262.0, 914.0
_TOP = 34.0
_BAR, _THIN, _ROW, _WITH_PREDICTION = 22.0, 12.0, 44.0, 66.0
_CHARACTER = 6.75


@dataclass(frozen=True)
class Piece:
    """A part of a bar: its name, and where it begins and ends, in seconds of the outage."""

    name: str
    began: float
    ended: float
    why: str = ""


@dataclass(frozen=True)
class Split:
    """An outage (known up to ``error``) and its parts, and what was predicted: in parts, as a whole, or not at all."""

    series: Series
    error: float
    measured: tuple[Piece, ...]
    predicted: tuple[Piece, ...]

    @property
    def longest(self) -> float:
        """Seconds of the longer of both, the prediction's error included."""
        return max(self.series.longest, (self.series.predicted or 0.0) + (self.series.predicted_error or 0.0))


def of(made: Verdict, predicted: Mapping[str, Any]) -> list[Split]:
    """Of each series that had an outage whose parts are known.

    Args:
        made: the verdict.
        predicted: as the record's first entry has it.
    """
    found = []
    for series in made.series:
        outage = words.longest(series)
        if outage is not None and outage.parts:
            began = outage.first_failure
            measured = [Piece(each.name, each.began - began, each.ended - began, each.why) for each in outage.parts]
            found.append(
                Split(series, outage.error, tuple(measured), tuple(_predicted(series, predicted.get(series.probe))))
            )
    return found


def _predicted(series: Series, said: Any) -> Iterator[Piece]:
    """Its parts one after the other; as one piece where they were not told."""
    if series.predicted is None:
        return
    at = 0.0
    for name, seconds in _named(said):
        yield Piece(name, at, at + seconds)
        at += seconds
    if not at:
        yield Piece("", 0.0, series.predicted)


def _named(said: Any) -> list[tuple[str, float]]:
    """The record is a file like any other: what is not in the form of a prediction is none."""
    try:
        return [(str(name), float(seconds)) for name, seconds in said["parts"]]
    except (TypeError, KeyError, ValueError):
        return []


def look(name: str) -> str:
    """The class of a part: ``part-0`` and so on."""
    return f"part-{PARTS.index(name if name in PARTS else OTHER)}" if name else "part-whole"


def svg(splits: Sequence[Split]) -> str:
    """The picture of at least one of them, all to one scale."""
    return "\n".join(_lines(splits))


@dataclass(frozen=True)
class _Whole:
    began: float
    seconds: float


def _lines(splits: Sequence[Split]) -> Iterator[str]:
    axis = Axis([_Whole(0.0, max(each.longest for each in splits) * 1.02)], _LEFT, _RIGHT)
    heights = [_ROW if each.series.predicted is None else _WITH_PREDICTION for each in splits]
    height = _TOP + sum(heights)
    yield (
        f'<svg viewBox="0 0 {WIDTH:g} {height:g}" width="{WIDTH:g}" height="{height:g}" role="img" '
        'aria-labelledby="parts-title parts-text">'
    )
    yield '<title id="parts-title">Where the seconds of the longest outages went</title>'
    yield '<desc id="parts-text">The same figures are in the table below.</desc>'
    tops = [_TOP + sum(heights[:number]) for number in range(len(splits))]
    for y, high in list(zip(tops, heights, strict=True))[::2]:
        yield f'<rect class="band" x="0" y="{y:g}" width="{WIDTH:g}" height="{high:g}"/>'
    for x, seconds in axis.ticks():
        yield f'<line class="grid" x1="{x:.1f}" y1="{_TOP - 6:g}" x2="{x:.1f}" y2="{height:g}"/>'
        yield f'<text class="tick" x="{x:.1f}" y="{_TOP - 13:g}" text-anchor="middle">{seconds:g} s</text>'
    for split, y in zip(splits, tops, strict=True):
        yield from _split(split, axis, y)
    yield "</svg>"


def _split(split: Split, axis: Axis, y: float) -> Iterator[str]:
    series = split.series
    name = words.name(series)
    yield f'<text class="label" x="16" y="{y + 26:g}">{markup(shortened(name))}<title>{markup(name)}</title></text>'
    yield (
        f'<text class="figure" x="{WIDTH - 16:g}" y="{y + 26:g}" text-anchor="end">'
        f"{words.about(split.series.longest, split.error)}</text>"
    )
    yield from _bar(split.measured, axis, y + 11, _BAR)
    if series.predicted is None:
        return
    low = y + 11 + _BAR + 7
    yield f'<text class="tick" x="16" y="{low + 10:g}">predicted</text>'
    yield f'<text class="tick" x="{WIDTH - 16:g}" y="{low + 10:g}" text-anchor="end">{words.predicted(series)}</text>'
    yield from _bar(split.predicted, axis, low, _THIN)
    error = series.predicted_error or 0.0
    first, last = axis.x(max(series.predicted - error, 0.0)), axis.x(series.predicted + error)
    middle = low + _THIN / 2
    yield f'<path class="error" d="M{first:.1f} {middle - 4:g}v8m0 -4H{last:.1f}m0 -4v8"/>'


def _bar(pieces: Sequence[Piece], axis: Axis, y: float, height: float) -> Iterator[str]:
    for piece in pieces:
        left, right = axis.x(piece.began), axis.x(piece.ended)
        # A hair's breadth between two pieces, as long as both can be seen.
        width = max(right - left - 1, min(right - left, 1.0), 0.5)
        text = f"{piece.name} {piece.ended - piece.began:.1f} s"
        yield f'<g class="piece {look(piece.name)}">'
        yield f'<rect x="{left:.1f}" y="{y:g}" width="{width:.1f}" height="{height:g}" rx="1.5"/>'
        if height == _BAR and _CHARACTER * len(text) + 14 <= width:
            yield f'<text class="inside" x="{left + 7:.1f}" y="{y + 15:g}">{markup(text)}</text>'
        said = f"{text}\n{piece.why}" if piece.why else text
        yield f"<title>{markup(said.strip())}</title></g>"
