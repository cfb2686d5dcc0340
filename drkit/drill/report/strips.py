"""What a probe's strip shows: its questions as cells, drawn together where they would be too narrow to see. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from drkit.drill.record import FAILED, OK, UNKNOWN, Asked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from drkit.drill.record import Entry

MOST = 640
"""Cells of a strip: more would be narrower than a pixel of a small screen."""
_BADNESS = {OK: 0, UNKNOWN: 1, FAILED: 2}
_REASONS = 4


@dataclass(frozen=True)
class Cell:
    """One question, or several that are drawn as one: the worst outcome of them wins.

    Attributes:
        began: when the first of them was to leave, in seconds since the record's begin.
        ended: likewise the one after the last of them.
        outcome: of ``record.py``.
        latency: seconds, the longest of those that succeeded; None where none did.
    """

    began: float
    ended: float
    outcome: str
    latency: float | None


@dataclass
class Questions:
    """Those of one series, in the order in which they were to leave."""

    asked: list[Asked] = field(default_factory=list)

    def cells(self, every: float) -> list[Cell]:
        """The strip. ``every``: seconds from one question to the next."""
        together = -(-len(self.asked) // MOST)
        return [_cell(list(group), every) for _, group in groupby(self.asked, key=lambda each: each.number // together)]

    def reasons(self, began: float, ended: float) -> str:
        """Why those failed that were to leave between: ``60 × timeout, 11 × refused``."""
        found = Counter(
            each.said or each.outcome for each in self.asked if each.outcome != OK and began <= each.due <= ended
        )
        shown = [f"{count} × {said}" for said, count in found.most_common(_REASONS)]
        return ", ".join(shown) + (", …" if len(found) > _REASONS else "")


def of(entries: Iterable[Entry]) -> dict[tuple[str, bool], Questions]:
    """The questions of each probe, those over its long-lived connection apart."""
    found: defaultdict[tuple[str, bool], Questions] = defaultdict(Questions)
    for each in entries:
        if isinstance(each, Asked):
            found[each.probe, each.session].asked.append(each)
    for questions in found.values():
        questions.asked.sort(key=lambda each: each.due)
    return dict(found)


def _cell(asked: Sequence[Asked], every: float) -> Cell:
    latencies = [each.at - each.due for each in asked if each.outcome == OK]
    worst = max((each.outcome for each in asked), key=lambda outcome: _BADNESS.get(outcome, 2))
    return Cell(asked[0].due, asked[-1].due + every, worst, max(latencies, default=None))


def runs(cells: Iterable[Cell]) -> Iterator[Cell]:
    """Cells of one outcome that touch, as one: what a strip without gaps is drawn from."""
    held: Cell | None = None
    for cell in cells:
        if held is not None and cell.outcome == held.outcome and cell.began - held.ended < cell.ended - cell.began:
            held = Cell(held.began, cell.ended, held.outcome, None)
            continue
        if held is not None:
            yield held
        held = cell
    if held is not None:
        yield held
