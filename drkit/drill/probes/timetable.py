"""When each question leaves and which row it writes, beforehand; and so what was tried and not heard of. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.drill.record import UNKNOWN, Asked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from drkit.drill.record import Entry
    from drkit.drill.values import Probe

_LOST = "the prober ended first"


@dataclass(frozen=True)
class Timetable:
    """One series of questions: a probe's over new connections, or over its long-lived one.

    Attributes:
        probe: its name.
        session: whether it is the long-lived one.
        first: when the first question leaves, in seconds since the record's begin.
        every: seconds from one to the next.
        row: of a probe that writes: the first question's row, and by how much the next one's is higher.
    """

    probe: str
    session: bool
    first: float
    every: float
    row: tuple[int, int] | None = None

    def due(self, number: int) -> float:
        """When a question is to leave, in seconds since the record's begin, to the microsecond."""
        return round(self.first + number * self.every, 6)

    def row_of(self, number: int) -> int | None:
        """The row that a question writes."""
        if self.row is None:
            return None
        first, step = self.row
        return first + number * step

    def left(self, at: float) -> int:
        """How many questions have left by then."""
        return max(0, math.floor((at - self.first) / self.every) + 1)


def timetables(probes: Sequence[tuple[Probe, bool]], begin: float) -> list[Timetable]:
    """When everything is asked.

    Series begin one after the other within the time between two questions of theirs, so that those of equal pace never
    leave together. Rows of all series that write are numbered through: none is written twice.

    Args:
        probes: each probe, and whether it writes.
        begin: when the first question may leave, in seconds since the record's begin.
    """
    series = [
        (probe, session, writes)
        for probe, writes in probes
        for session in ((False, True) if probe.session else (False,))
    ]
    writing = [each for each in series if each[2]]
    rows = {id(each): (place, len(writing)) for place, each in enumerate(writing)}
    return [
        Timetable(
            each[0].name,
            each[1],
            round(begin + each[0].every * place / len(series), 6),
            each[0].every,
            rows.get(id(each)),
        )
        for place, each in enumerate(series)
    ]


def unheard(entries: Iterable[Entry], series: Sequence[Timetable], until: float) -> Iterator[Asked]:
    """The writes that may have been tried and are not in the record, as unknown: their rows are no strangers.

    Args:
        entries: the record.
        series: what the prober said it would ask.
        until: when it was seen to have ended, in seconds since the record's begin.
    """
    writing = {(each.probe, each.session): each for each in series if each.row is not None}
    heard: dict[tuple[str, bool], set[int]] = {which: set() for which in writing}
    for entry in entries:
        if isinstance(entry, Asked) and (entry.probe, entry.session) in heard:
            heard[entry.probe, entry.session].add(entry.number)
    for which, each in writing.items():
        for number in range(each.left(until)):
            if number not in heard[which]:
                due = each.due(number)
                yield Asked(until, each.probe, number, due, due, UNKNOWN, each.session, _LOST, each.row_of(number))
