"""The picture of a drill: faults and what was seen on top, under them a strip for each probe. Pure: SVG text.

Colours and strokes are classes, which the page gives their meaning in light and dark. A failure is taller than a
success, so that no colour has to be told from another; the tables beside the picture have the same figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.drill.record import NEW_PRIMARY, Asked, Event
from drkit.drill.report import marks, strips, words
from drkit.drill.report.rows import Row, row, shortened
from drkit.observe.axis import Axis
from drkit.observe.text import markup

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.drill.record import Entry
    from drkit.drill.verdict import FaultSeen, Verdict

WIDTH = 1080.0
LEFT, RIGHT = 262.0, 914.0
"""Where time begins and ends; labels are before it, figures behind."""
_SMALL = 6.75
"""Pixels for a character of the smaller texts, which are set in a fixed pitch of 11 pixels."""
_TOP = 40.0
_FAULT, _LANE, _AFTER = 26.0, 18.0, 12.0
_LANES = 6


@dataclass(frozen=True)
class _Whole:
    """All of the time that is drawn, on the report's clock."""

    began: float
    seconds: float


def svg(made: Verdict, entries: Sequence[Entry]) -> str:
    """The picture.

    Args:
        made: the verdict.
        entries: of the record; without them the strips are empty.
    """
    return "\n".join(_Picture(made, entries).lines())


class _Picture:
    def __init__(self, made: Verdict, entries: Sequence[Entry]) -> None:
        self._made = made
        self._origin = words.zero(made.faults)
        self._end = _end(made, entries)
        self._axis = Axis([_Whole(-self._origin, self._end)], LEFT, RIGHT)
        events = [each for each in entries if isinstance(each, Event)]
        self._marks = marks.place(marks.of(events, self._x), _LANES, _SMALL, LEFT, RIGHT)
        self._promotions = [each for each in events if each.what == NEW_PRIMARY]
        self._lanes_top = _TOP + _FAULT * len(made.faults)
        lanes = max((each.lane + 1 for each in self._marks), default=0)
        self._rows_top = self._lanes_top + (_LANE * lanes + _AFTER if lanes else 0) + 4
        asked = strips.of(entries)
        self._rows: list[Row] = []
        bottom = self._rows_top
        for each in made.series:
            found = asked.get((each.probe, each.session), strips.Questions())
            self._rows.append(row(each, found, bottom, self._x, (LEFT, RIGHT), self._origin))
            bottom += self._rows[-1].height
        self._bottom = bottom

    def _x(self, at: float) -> float:
        """Where a moment is, of seconds since the record's begin."""
        return self._axis.x(at - self._origin)

    def lines(self) -> Iterator[str]:
        height = self._bottom + 8
        yield (
            f'<svg viewBox="0 0 {WIDTH:g} {height:g}" width="{WIDTH:g}" height="{height:g}" role="img" '
            'aria-labelledby="timeline-title timeline-text">'
        )
        yield f'<title id="timeline-title">Timeline of the drill {markup(self._made.scenario)}</title>'
        yield (
            f'<desc id="timeline-text">{markup(words.verdict(self._made))}. {len(self._rows)} strips over '
            f"{self._end:.0f} seconds; the same figures are in the tables below.</desc>"
        )
        yield from self._bands()
        yield from self._scale()
        for number, fault in enumerate(self._made.faults):
            yield from self._fault(fault, _TOP + number * _FAULT)
        for each in self._promotions:
            x = self._x(each.at)
            yield f'<line class="promotion" x1="{x:.1f}" y1="{self._rows_top:g}" x2="{x:.1f}" y2="{self._bottom:g}"/>'
        for number, drawn in enumerate(self._rows):
            yield f'<g class="row{"" if number % 2 else " banded"}">'
            yield from drawn.lines
            yield "</g>"
        yield from self._seen()
        yield "</svg>"

    def _bands(self) -> Iterator[str]:
        for each in self._rows[::2]:
            yield f'<rect class="band" x="0" y="{each.top:g}" width="{WIDTH:g}" height="{each.height:g}"/>'

    def _scale(self) -> Iterator[str]:
        for x, seconds in self._axis.ticks():
            shown = f"{'−' if seconds < 0 else ''}{abs(seconds):g} s"
            yield f'<line class="grid" x1="{x:.1f}" y1="{_TOP - 8:g}" x2="{x:.1f}" y2="{self._bottom:g}"/>'
            yield f'<text class="tick" x="{x:.1f}" y="{_TOP - 16:g}" text-anchor="middle">{shown}</text>'
        heading = "after the first fault" if any(each.sent is not None for each in self._made.faults) else "seconds"
        yield f'<text class="tick" x="16" y="{_TOP - 16:g}">{heading}</text>'

    def _fault(self, fault: FaultSeen, y: float) -> Iterator[str]:
        """Its bar from when it was sent to when it was undone, with a mark for each, and its shade over the strips."""
        name = f"{fault.fault} {fault.target}"
        yield (
            f'<text class="label" x="16" y="{y + 16:g}">{markup(shortened(name))}<title>{markup(name)}</title></text>'
        )
        if fault.sent is None:
            yield f'<text class="tick" x="{WIDTH - 16:g}" y="{y + 16:g}" text-anchor="end">not sent</text>'
            return
        left, right = self._x(fault.sent), self._x(self._end if fault.undone is None else fault.undone)
        yield (
            f'<rect class="shade" x="{left:.1f}" y="{y + 11:g}" width="{right - left:.1f}" '
            f'height="{self._bottom - y - 11:g}"/>'
        )
        yield f'<line class="sent" x1="{left:.1f}" y1="{y + 4:g}" x2="{left:.1f}" y2="{self._bottom:g}"/>'
        yield f'<rect class="fault" x="{left:.1f}" y="{y + 7:g}" width="{right - left:.1f}" height="8" rx="2"/>'
        for what, at, shape in (
            ("sent", fault.sent, "M{x} {y}l-5 -5v10z"),
            ("observed", fault.observed, "M{x} {y}m0 -6l5 6l-5 6l-5 -6z"),
            ("undone", fault.undone, "M{x} {y}m-4.5 -4.5h9v9h-9z"),
        ):
            if at is not None:
                path = shape.format(x=f"{self._x(at):.1f}", y=f"{y + 11:g}")
                said = markup(f"{name}: {what} {words.moment(at, self._origin)}")
                yield f'<path class="phase {what}" d="{path}"><title>{said}</title></path>'
        lasted = f"for {(self._end if fault.undone is None else fault.undone) - fault.sent:.1f} s"
        shown = lasted if fault.undone is not None else "not undone"
        yield f'<text class="tick" x="{WIDTH - 16:g}" y="{y + 15:g}" text-anchor="end">{shown}</text>'

    def _seen(self) -> Iterator[str]:
        """What was seen in the cluster: marks with labels, in lanes."""
        if self._marks:
            yield f'<text class="label" x="16" y="{self._lanes_top + 16:g}">seen in the cluster</text>'
        for each in sorted(self._marks, key=lambda placed: placed.mark.x):
            x, y = each.mark.x, self._lanes_top + each.lane * _LANE + 12
            said = "\n".join(_event(event, self._origin) for event in each.mark.events)
            yield f'<g class="seen {each.mark.look}"><circle cx="{x:.1f}" cy="{y:g}" r="3.5"/>'
            if each.anchor:
                beside = x + (8 if each.anchor == "start" else -8)
                yield (
                    f'<text class="said" x="{beside:.1f}" y="{y + 4:g}" text-anchor="{each.anchor}">'
                    f"{markup(each.mark.label)}</text>"
                )
            yield f"<title>{markup(said)}</title></g>"


def _event(event: Event, origin: float) -> str:
    more = ", ".join(f"{key} {value}" for key, value in event.more.items())
    return f"{words.moment(event.at, origin)} {event.who} {event.what}{f' ({more})' if more else ''}"


def _end(made: Verdict, entries: Sequence[Entry]) -> float:
    """When the last thing happened that is drawn, in seconds since the record's begin; the wait for the end is not."""
    seen = [each.at for each in entries if isinstance(each, (Event, Asked))]
    undone = [each.undone for each in made.faults if each.undone is not None]
    over = [each.first_failure + each.seconds for one in made.series for each in one.outages]
    return max([*seen, *undone, *over], default=made.ended) or 1.0
