"""What became of a drill's faults, and when. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.drill.record import ACKNOWLEDGED, CONFIRMED, SENT, UNCONFIRMED, UNDOING, UNDONE
from drkit.drill.verdict import FaultSeen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drkit.drill.record import Phase
    from drkit.drill.values import Drill


@dataclass(frozen=True)
class Faults:
    """The faults of a drill.

    Attributes:
        seen: each, in the drill's order.
        unconfirmed: why each that was not confirmed was not.
        undoing: when each undo began that had something to undo, in order of time.
    """

    seen: tuple[FaultSeen, ...]
    unconfirmed: tuple[str, ...]
    undoing: tuple[float, ...]

    @property
    def first(self) -> float | None:
        """When the first one was sent."""
        return min(self._sent, default=None)

    @property
    def undone(self) -> float | None:
        """When the last one was undone."""
        return max((each.undone for each in self.seen if each.undone is not None), default=None)

    def before(self, at: float) -> float | None:
        """When the fault was sent that is the last one before a time."""
        return max((each for each in self._sent if each <= at), default=None)

    @property
    def _sent(self) -> list[float]:
        return [each.sent for each in self.seen if each.sent is not None]


def faults(drill: Drill, phases: Sequence[Phase]) -> Faults:
    """What became of the faults.

    Args:
        drill: what was to be done.
        phases: in order of time.
    """
    seen, unconfirmed, undoing = [], [], []
    for number, injection in enumerate(drill.injections):
        mine: dict[str, Phase] = {}
        for each in phases:
            if each.injection == number:
                mine.setdefault(each.phase, each)
        name = f"{injection.fault} of {injection.target}"
        if UNCONFIRMED in mine:
            unconfirmed.append(_because(f"{name} was not confirmed", mine[UNCONFIRMED].said))
        elif CONFIRMED not in mine:
            unconfirmed.append(f"{name} was {'sent and never confirmed' if SENT in mine else 'never sent'}")
        if UNDOING in mine and injection.lasts > 0:
            undoing.append(mine[UNDOING].at)
        said = next((mine[each].said for each in (UNCONFIRMED, CONFIRMED, ACKNOWLEDGED) if each in mine), "")
        sent, acknowledged, observed, undone = (
            mine[each].at if each in mine else None for each in (SENT, ACKNOWLEDGED, CONFIRMED, UNDONE)
        )
        seen.append(FaultSeen(injection.fault, injection.target, sent, acknowledged, observed, undone, said))
    return Faults(tuple(seen), tuple(unconfirmed), tuple(sorted(undoing)))


def _because(what: str, why: str) -> str:
    return f"{what}: {why}" if why else what
