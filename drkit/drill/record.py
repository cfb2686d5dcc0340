"""What a drill saw, as it saw it: JSON lines, only ever appended to. A verdict is made from nothing else.

Every entry has ``entry``, its kind, and ``at``: seconds since the record's begin, by the machine's monotonic clock,
which all processes of a machine share. Several processes append to one record; each line is one ``write`` to a file
that is open for appending, so lines come whole, in the order in which they were written, which is not quite that of
``at``.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

from drkit.masking import mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

FORMAT = 1
OK, FAILED, UNKNOWN = "ok", "failed", "unknown"
LARGEST_LINE = 4 * 1024 * 1024
"""Bytes; the longest entries name the rows of a ledger, as ranges."""


@dataclass(frozen=True)
class Entry:
    """What all entries have."""

    kind: ClassVar[str]
    at: float


@dataclass(frozen=True)
class Begin(Entry):
    """The first entry.

    Attributes:
        run: the drill's id, such as ``20261122T024500Z-worker-down``.
        started: when that was, RFC 3339 in UTC with milliseconds: it ties ``at`` to the cluster's own timestamps.
        drill: ``Drill.as_json()``.
        version: drkit's.
        cluster: its name.
        lab: whether the cluster is a lab.
        stand_ins: parts of the cluster that are not the real ones: their windows prove nothing of the real ones.
        predicted: what was predicted from the settings beforehand, by the probe's name: ``Prediction.as_json()``.
    """

    kind: ClassVar[str] = "begin"
    run: str
    started: str
    drill: Mapping[str, Any]
    version: str
    cluster: str
    lab: bool = False
    stand_ins: tuple[str, ...] = ()
    predicted: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT


@dataclass(frozen=True)
class Asked(Entry):
    """One question of a probe; ``at`` is when it ended.

    Attributes:
        probe: its name.
        number: k: it was to leave at t0 + k times ``every``.
        due: when it was to leave; latency and outages count from here.
        sent: when it left.
        outcome: ``ok`` or ``failed``; of a write also ``unknown``: it may have been done.
        session: whether it went over the long-lived connection.
        said: why it failed, shortly: ``refused``, ``timeout``, ``503``.
        row: of a write: the row's number, unique within the drill.
        server: of a write that was acknowledged, and of a read: the server that answered, as ``10.42.1.5``.
        timeline: likewise: the server's PostgreSQL timeline, which every promotion raises.
    """

    kind: ClassVar[str] = "asked"
    probe: str
    number: int
    due: float
    sent: float
    outcome: str
    session: bool = False
    said: str = ""
    row: int | None = None
    server: str = ""
    timeline: int | None = None


@dataclass(frozen=True)
class Phase(Entry):
    """Something that was done about a fault.

    ``armed``: its undo waits on a timer. ``sent``: it was asked for. ``acknowledged``: who does it has said so.
    ``confirmed``: its effect was seen. ``unconfirmed``: it was not seen in time. ``undoing``, ``undone``.

    Attributes:
        injection: its place among the drill's injections, from 0.
        phase: one of the above.
        said: what was seen, or went wrong.
    """

    kind: ClassVar[str] = "phase"
    injection: int
    phase: str
    said: str = ""


ARMED, SENT, ACKNOWLEDGED = "armed", "sent", "acknowledged"
CONFIRMED, UNCONFIRMED = "confirmed", "unconfirmed"
UNDOING, UNDONE = "undoing", "undone"


@dataclass(frozen=True)
class Event(Entry):
    """Something that changed in the cluster or around it; ``at`` is when it was seen.

    Attributes:
        what: one of the words below.
        who: whom it is about: a node, ``namespace/pod``, ``namespace/service``, ``target:port`` of a load balancer.
        more: such as ``{"from": "main-db-1", "to": "main-db-2"}`` of a promotion, ``{"node": "k3s-w1"}`` of a pod.
        stamp: when it happened by the cluster's own word, RFC 3339; empty where it said none.
    """

    kind: ClassVar[str] = "event"
    what: str
    who: str
    more: Mapping[str, str] = field(default_factory=dict)
    stamp: str = ""


NODE_READY, NODE_NOT_READY, NODE_TAINTED = "node-ready", "node-not-ready", "node-tainted"
NODE_UNTAINTED = "node-untainted"
POD_CREATED, POD_READY, POD_NOT_READY, POD_DELETED = "pod-created", "pod-ready", "pod-not-ready", "pod-deleted"
POD_SCHEDULED, POD_GONE = "pod-scheduled", "pod-gone"
"""``pod-deleted`` is that somebody asked for its deletion; a pod of a node that is down is ``pod-gone`` much later."""
ENDPOINT_ADDED, ENDPOINT_REMOVED = "endpoint-added", "endpoint-removed"
FAILING_OVER, NEW_PRIMARY = "failing-over", "promoted"
"""A cluster of PostgreSQL: its operator wants another primary; it has another one."""
CLUSTER_PHASE = "cluster-phase"
"""Its operator has another word for how it is, which is in ``more``."""
TARGET_HEALTHY, TARGET_UNHEALTHY = "target-healthy", "target-unhealthy"
API_LOST, API_BACK = "api-lost", "api-back"
"""Whoever watches the cluster was cut off from its API, and is no longer: what happened between was seen late."""
BACKUP_ENDED = "backup-ended"
"""The backup that ran beside the faults; its exit ``status`` is in ``more``, and what it ``said``: the point's id."""
PATCHES_SEEN = "patches-seen"
"""The declared patches after all; in ``more`` how many were there ``before``, and which of these are ``lost``."""
WATCH_TROUBLE = "watch-trouble"
"""Something could not be watched, and why: what happened there may be missing."""
WITHIN = "within"
"""In ``more`` of what was not seen at once: it happened at most this many seconds before ``at``."""


@dataclass(frozen=True)
class Steady(Entry):
    """Whether the steady state held: ``before`` the fault, or ``after`` its undo, by what watches."""

    kind: ClassVar[str] = "steady"
    when: str
    holds: bool
    said: str = ""


BEFORE, AFTER = "before", "after"


@dataclass(frozen=True)
class Rows(Entry):
    """The rows that one instance has, after all have rejoined.

    Attributes:
        probe: the probe whose rows they are.
        instance: its pod.
        role: ``primary`` or ``replica``.
        ranges: the rows' numbers, as closed ranges in order.
        twice: numbers that are there more than once, and how often.
        said: why it could not be asked; its ranges mean nothing then.
    """

    kind: ClassVar[str] = "rows"
    probe: str
    instance: str
    role: str
    ranges: tuple[tuple[int, int], ...] = ()
    twice: Mapping[str, int] = field(default_factory=dict)
    said: str = ""


@dataclass(frozen=True)
class Used(Entry):
    """What the prober used of this machine up to then: seconds of processor time, and of a core's time that passed."""

    kind: ClassVar[str] = "used"
    cpu_seconds: float
    wall_seconds: float


@dataclass(frozen=True)
class End(Entry):
    """The last entry of a drill that came to its end: ``done``, ``interrupted`` or ``failed``, and why."""

    kind: ClassVar[str] = "end"
    how: str
    said: str = ""


DONE, INTERRUPTED, BROKEN = "done", "interrupted", "failed"

_KINDS: dict[str, type[Entry]] = {each.kind: each for each in (Begin, Asked, Phase, Event, Steady, Rows, Used, End)}
_REQUIRED = {
    kind: frozenset(each.name for each in fields(made) if each.default is MISSING and each.default_factory is MISSING)
    for kind, made in _KINDS.items()
}
"""What an entry's line always has; the rest is left out where it is nothing."""


class Recorder:
    """Appends to a record. Safe to use from several threads, and beside other processes.

    Args:
        path: the record; made where it is not there, readable by its owner alone.
        start: what the machine's monotonic clock said at the record's begin.
    """

    def __init__(self, path: Path, start: float) -> None:
        self.path, self.start = path, start
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def at(self) -> float:
        """Seconds since the record's begin, to the microsecond."""
        return round(time.monotonic() - self.start, 6)

    def write(self, entry: Entry, *, durably: bool = False) -> None:
        """Append an entry, and where it has to outlive a crash, wait for the disk."""
        os.write(self._handle, to_line(entry))
        if durably:
            os.fsync(self._handle)

    def close(self) -> None:
        """End writing."""
        os.close(self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def to_line(entry: Entry) -> bytes:
    """An entry as its line; what it has by default is left out."""
    given = asdict(entry)
    needed = _REQUIRED[entry.kind]
    shown = {key: value for key, value in given.items() if value or key in needed or (key == "row" and value == 0)}
    return mask(json.dumps({"entry": entry.kind, **shown}, separators=(",", ":"))).encode() + b"\n"


def from_line(line: bytes) -> Entry | None:
    """The entry of a line; nothing where it is cut short, as by a crash, or of a kind that is not known."""
    try:
        data = json.loads(line)
        made = _KINDS[data.pop("entry")](**data)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if isinstance(made, Rows):
        return Rows(**{**asdict(made), "ranges": tuple((first, last) for first, last in made.ranges)})
    if isinstance(made, Begin):
        return Begin(**{**asdict(made), "stand_ins": tuple(made.stand_ins)})
    return made


def read(path: Path) -> Iterator[Entry]:
    """The entries of a record, in the order of its lines."""
    with path.open("rb") as file:
        while line := file.readline(LARGEST_LINE):
            entry = from_line(line)
            if entry is not None:
                yield entry
