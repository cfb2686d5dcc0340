"""When the events of a record happened, by what was seen and by the cluster's own stamps. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.clock import from_text
from drkit.drill.record import WITHIN

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from drkit.drill.record import Begin, Event

_STAMP_SECONDS = 1.0
"""The cluster's stamps are whole seconds, cut off."""


@dataclass(frozen=True)
class Sight:
    """An event, with the time that it is taken to have happened at.

    Attributes:
        at: seconds since the record's begin. When it was seen; only of what may have happened more than a second
            earlier, as while the cluster's API could not be reached, the cluster's own stamp where that can be true.
        why: what was seen, for people.
    """

    at: float
    event: Event
    why: str

    @property
    def what(self) -> str:
        """The event's kind."""
        return self.event.what

    @property
    def node(self) -> str:
        """The node that it happened on, where the event says it."""
        return str(self.event.more.get("node", ""))


def sights(begin: Begin, events: Iterable[Event]) -> list[Sight]:
    """All events, by when they happened."""
    started = _moment(begin.started)
    found = [_sight(each, started) for each in events]
    return sorted(found, key=lambda each: (each.at, each.event.at, repr(each.event)))


def _sight(event: Event, started: datetime | None) -> Sight:
    shown = f"{event.what}: {event.who}"
    within = _seconds(event.more.get(WITHIN))
    stamp = _moment(event.stamp)
    if stamp is None or started is None:
        late = f", seen up to {within:.1f} s late" if within > _STAMP_SECONDS else ""
        return Sight(event.at, event, shown + late)
    stamped = (stamp - started).total_seconds()
    if within > _STAMP_SECONDS and event.at - within - _STAMP_SECONDS <= stamped <= event.at:
        return Sight(
            round(max(stamped, event.at - within), 6), event, f"{shown}, by its stamp {event.stamp}, seen later"
        )
    return Sight(event.at, event, f"{shown}, stamped {event.stamp}")


def _moment(text: str) -> datetime | None:
    try:
        return from_text(text) if text else None
    except ValueError:
        return None


def _seconds(text: object) -> float:
    try:
        return float(str(text or 0))
    except ValueError:
        return 0.0
