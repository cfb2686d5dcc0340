"""The marks of a timeline: what was seen in the cluster, drawn together where it was at once, each in a lane. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.drill import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from drkit.drill.record import Event

TROUBLE, RECOVERY, DECISION = "trouble", "recovery", "decision"
_WORDS = {
    record.NEW_PRIMARY: (DECISION, "promoted", "promotions"),
    record.FAILING_OVER: (DECISION, "failing over", "clusters failing over"),
    record.NODE_NOT_READY: (TROUBLE, "not ready", "nodes not ready"),
    record.TARGET_UNHEALTHY: (TROUBLE, "unhealthy", "targets unhealthy"),
    record.API_LOST: (TROUBLE, "API lost", "times API lost"),
    record.API_BACK: (RECOVERY, "API back", "times API back"),
    record.NODE_READY: (RECOVERY, "ready", "nodes ready"),
    record.TARGET_HEALTHY: (RECOVERY, "healthy", "targets healthy"),
    record.NODE_TAINTED: (TROUBLE, "tainted", "nodes tainted"),
    record.ENDPOINT_REMOVED: (TROUBLE, "endpoint removed", "endpoints removed"),
    record.ENDPOINT_ADDED: (RECOVERY, "endpoint added", "endpoints added"),
    record.POD_NOT_READY: (TROUBLE, "not ready", "pods not ready"),
    record.POD_DELETED: (TROUBLE, "deleted", "pods deleted"),
    record.POD_CREATED: (RECOVERY, "created", "pods created"),
    record.POD_READY: (RECOVERY, "ready", "pods ready"),
}
"""What each event is, how it is said of one, and of several; the most telling first."""
_URGENCY = {what: place for place, what in enumerate(_WORDS)}
_LONGEST = 22
_TOGETHER = 6.0
"""Pixels within which events of one kind are one mark."""


@dataclass(frozen=True)
class Mark:
    """One mark: where it is (pixels), its look, its label, and the events that it stands for."""

    x: float
    look: str
    label: str
    events: tuple[Event, ...]

    @property
    def urgency(self) -> int:
        """The smaller, the sooner it gets a label."""
        return _URGENCY.get(self.events[0].what, len(_URGENCY))


@dataclass(frozen=True)
class Placed:
    """A mark in its lane, from 0; its label to the right of it, to the left, or nowhere where there is no room."""

    mark: Mark
    lane: int
    anchor: str


def of(events: Iterable[Event], x: Callable[[float], float]) -> list[Mark]:
    """Events as marks. ``x``: where a moment is, of seconds since the record's begin."""
    groups: list[list[Event]] = []
    latest: dict[str, list[Event]] = {}
    for event in sorted(events, key=lambda each: each.at):
        group = latest.get(event.what)
        if group is not None and x(event.at) - x(group[0].at) <= _TOGETHER:
            group.append(event)
        else:
            latest[event.what] = group = [event]
            groups.append(group)
    return [_mark(group, x(group[0].at)) for group in groups]


def _mark(group: Sequence[Event], x: float) -> Mark:
    look, one, several = _WORDS.get(group[0].what, (DECISION, group[0].what, group[0].what))
    who = {each.who for each in group}
    label = f"{short(_subject(group[0]))} {one}" if len(who) == 1 else f"{len(group)} {several}"
    return Mark(x, look, label, tuple(group))


def _subject(event: Event) -> str:
    """Who: of a promotion the new primary."""
    return str(event.more.get("to", event.who)) if event.what == record.NEW_PRIMARY else event.who


def short(name: str) -> str:
    """The last part of a name, as long as a label may be."""
    last = name.rpartition("/")[2]
    return last if len(last) <= _LONGEST else f"{last[: _LONGEST - 1]}…"


def place(marks: Sequence[Mark], lanes: int, character: float, left: float, right: float) -> list[Placed]:
    """Find each mark a lane in which its label meets no other; the most telling first.

    Args:
        marks: all of them.
        lanes: how many there are; one more, the last, takes marks whose label had no room.
        character: how wide one of a label is, pixels.
        left: no label begins before.
        right: no label ends behind.
    """
    taken: list[list[tuple[float, float]]] = [[] for _ in range(lanes)]
    found = []
    for mark in sorted(marks, key=lambda each: (each.urgency, each.x)):
        width = 12 + character * len(mark.label)
        spans = {"start": (mark.x - 6, mark.x + width), "end": (mark.x - width, mark.x + 6)}
        inside = {anchor: span for anchor, span in spans.items() if span[0] >= left - 6 and span[1] <= right + 6}
        free = (
            (lane, anchor, span)
            for lane, others in enumerate(taken)
            for anchor, span in inside.items()
            if all(span[1] <= other[0] or other[1] <= span[0] for other in others)
        )
        lane, anchor, span = next(free, (lanes, "", (0.0, 0.0)))
        if anchor:
            taken[lane].append(span)
        found.append(Placed(mark, lane, anchor))
    return found
