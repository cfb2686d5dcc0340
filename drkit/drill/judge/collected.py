"""The entries of a record, sorted into what they are about: compact, and the same for any order of its lines. Pure."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from drkit.drill.record import DONE, FAILED, OK, UNKNOWN, Asked, Begin, End, Entry, Event, Phase, Rows, Steady, Used

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

E = TypeVar("E", bound=Entry)
_OUTCOMES = (OK, FAILED, UNKNOWN)


class Question(NamedTuple):
    """What the judge looks at of an ``Asked``; sorts by ``due``."""

    due: float
    number: int
    sent: float
    at: float
    outcome: str

    @property
    def ok(self) -> bool:
        """Whether it was answered as it should be."""
        return self.outcome == OK

    @property
    def late(self) -> float:
        """How many seconds after it was due it left."""
        return self.sent - self.due


class Write(NamedTuple):
    """What the judge looks at of a write; sorts by ``sent``."""

    sent: float
    at: float
    row: int
    outcome: str
    server: str
    timeline: int | None


class Questions:
    """The questions of one series, in 33 bytes each."""

    def __init__(self) -> None:
        self._due, self._sent, self._at = array("d"), array("d"), array("d")
        self._numbers = array("q")
        self._outcomes = array("b")
        self._why: tuple[float, int, str] | None = None

    def add(self, asked: Asked) -> None:
        """One more, in any order.

        Raises:
            ValueError, TypeError, OverflowError: it is not what an ``Asked`` has to be.
        """
        if not math.isfinite(asked.due + asked.sent + asked.at):
            raise ValueError(f"a question of {asked.probe!r} has no time")
        self._due.append(asked.due)
        self._sent.append(asked.sent)
        self._at.append(asked.at)
        self._numbers.append(asked.number)
        self._outcomes.append(_OUTCOMES.index(asked.outcome))
        if asked.outcome != OK:
            why = (asked.due, asked.number, str(asked.said))
            self._why = min(self._why or why, why)

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def newest(self) -> float:
        """When the last one was due; 0 of none."""
        return max(self._due, default=0.0)

    @property
    def why(self) -> str:
        """What the first one that failed says; empty where none did, or where it says nothing."""
        return self._why[2] if self._why else ""

    def in_order(self) -> list[Question]:
        """All of them, by when they were due."""
        outcomes = map(_OUTCOMES.__getitem__, self._outcomes)
        return sorted(map(Question._make, zip(self._due, self._numbers, self._sent, self._at, outcomes, strict=True)))


@dataclass(frozen=True)
class Collected:
    """A record's entries, those of each kind in order of time.

    Attributes:
        questions: by the probe's name, and whether they went over its long-lived connection.
        writes: by the probe's name.
        last: the highest ``at`` of all entries.
    """

    begin: Begin
    end: End | None
    questions: Mapping[tuple[str, bool], Questions]
    writes: Mapping[str, Sequence[Write]]
    phases: Sequence[Phase]
    events: Sequence[Event]
    steady: Sequence[Steady]
    rows: Sequence[Rows]
    used: Sequence[Used]
    last: float


def collect(entries: Iterable[Entry]) -> Collected:
    """Sort entries; questions are kept compactly, so that a record may be longer than memory could hold its lines.

    Raises:
        ValueError: they have no begin, or two, or something in them cannot be.
    """
    questions: dict[tuple[str, bool], Questions] = {}
    writes: dict[str, list[Write]] = {}
    others: list[Entry] = []
    last = 0.0
    try:
        for entry in entries:
            last = max(last, entry.at)
            if isinstance(entry, Asked):
                series = entry.probe, entry.session
                if series not in questions:
                    questions[series] = Questions()
                questions[series].add(entry)
                if entry.row is not None:
                    writes.setdefault(entry.probe, []).append(_write(entry))
            elif math.isfinite(entry.at):
                others.append(entry)
        # Lines of the same moment have no order of their own: they get that of their text.
        others.sort(key=lambda each: (each.at, repr(each)))
        for each in writes.values():
            each.sort(key=lambda one: (one.sent, one.at, one.row, one.outcome, one.server, one.timeline or -1))
    except (TypeError, OverflowError) as error:
        raise ValueError(f"an entry is not what it should be: {error}") from None
    begins = _of(Begin, others)
    if len(begins) != 1:
        raise ValueError("it has more than one begin" if begins else "it has no begin")
    # Of two ends, the one that did not go well is the word that counts.
    end = max(_of(End, others), key=lambda each: (each.how != DONE, each.at), default=None)
    return Collected(
        begins[0],
        end,
        questions,
        writes,
        phases=_of(Phase, others),
        events=_of(Event, others),
        steady=_of(Steady, others),
        rows=_of(Rows, others),
        used=_of(Used, others),
        last=last,
    )


def _write(asked: Asked) -> Write:
    if not isinstance(asked.row, int) or not isinstance(asked.timeline, int | None):
        raise TypeError(f"row {asked.row!r} on timeline {asked.timeline!r}")
    return Write(asked.sent, asked.at, asked.row, asked.outcome, str(asked.server), asked.timeline)


def _of(kind: type[E], entries: Iterable[Entry]) -> list[E]:
    return [each for each in entries if isinstance(each, kind)]
