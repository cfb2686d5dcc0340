"""Records of drills as they could have gone, written by hand: what the judge, the reports and their tests read.

A story has a control probe, one fault on one node, and an end; the rest is added to it::

    entries = (
        Story()
        .probe("page/docfast.example", HTTP, every=0.1, window=15, out=[(0.2, 14.2)])
        .probe("write/main-db", SQL_WRITE, every=0.2, window=30, out=[(0.3, 18.1)])
        .event(12.0, NODE_NOT_READY, "k3s-w1")
        .promotion(wanted=12.5, done=17.9)
        .expecting(PROMOTED)
        .holding(NOTHING_LOST, ONE_PRIMARY)
        .entries()
    )

Times of outages and events are seconds after the fault was sent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from drkit.drill import record
from drkit.drill.record import Asked, Begin, End, Entry, Event, Phase, Rows, Steady, Used
from drkit.drill.values import CONTROL_PROBE, SQL_READ, SQL_WRITE, Drill, Injection, Probe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

OLD_PRIMARY, NEW_PRIMARY = "postgres/main-db-1", "postgres/main-db-2"
OLD_SERVER, NEW_SERVER = "10.42.1.5", "10.42.2.7"
WORKER = "k3s-w1"
LATENCY = 0.02
"""Seconds until a question that succeeds has its answer."""


@dataclass
class Story:
    """A drill that went well, but for what is added.

    Attributes:
        fault_at: seconds from the record's begin to the fault; everything succeeds before.
        lasts: from the fault to its undo.
        after: from its undo until the probes stop.
    """

    scenario: str = "worker-down"
    title: str = "A worker loses its power"
    steady: float = 10.0
    fault_at: float = 12.0
    lasts: float = 40.0
    after: float = 20.0
    settle: float = 60.0
    needed: int = 3
    target: str = WORKER
    stand_ins: tuple[str, ...] = ()
    probes: list[Probe] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    rows: list[Rows] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    expect: tuple[str, ...] = ()
    hold: tuple[str, ...] = ()
    predicted: dict[str, Any] = field(default_factory=dict)
    promoted_at: float = math.inf

    @property
    def undone_at(self) -> float:
        """When the fault was gone."""
        return self.fault_at + self.lasts

    @property
    def stopped_at(self) -> float:
        """When the probes stopped."""
        return self.undone_at + self.after

    def probe(
        self,
        name: str,
        kind: str,
        *,
        every: float = 0.5,
        window: float | None = 15.0,
        out: Sequence[tuple[float, float]] = (),
        session: bool = False,
        timeout: float = 1.0,
    ) -> Self:
        """Add a probe that fails in each of ``out``: seconds after the fault, and for how many seconds.

        Writes have rows 0, 1, 2 and so on; those of an outage's last tenth have an unknown outcome.
        """
        self.probes.append(Probe(name, kind, f"{kind}://{name}", every, timeout, window, session))
        for long_lived in (False, True) if session else (False,):
            for number in range(int(self.stopped_at / every)):
                self.asked.append(self._question(self.probes[-1], number, out, session=long_lived))
        return self

    def _question(self, probe: Probe, number: int, out: Sequence[tuple[float, float]], *, session: bool) -> Asked:
        due = round(number * probe.every, 6)
        sent = round(due + 0.0004, 6)
        since = round(due - self.fault_at, 6)
        inside = next(((start, seconds) for start, seconds in out if start <= since < start + seconds), None)
        row = 2 * number + session if probe.kind == SQL_WRITE and probe.session else number
        if inside is not None:
            unknown = probe.kind == SQL_WRITE and since >= inside[0] + 0.9 * inside[1]
            outcome = record.UNKNOWN if unknown else record.FAILED
            found = Asked(due + probe.timeout, probe.name, number, due, sent, outcome, session, "timeout")
        else:
            found = Asked(round(due + LATENCY, 6), probe.name, number, due, sent, record.OK, session)
        if probe.kind == SQL_WRITE:
            found = replace(found, row=row)
        if probe.kind in {SQL_READ, SQL_WRITE} and found.outcome == record.OK:
            after = since >= self.promoted_at
            found = replace(found, server=NEW_SERVER if after else OLD_SERVER, timeline=2 if after else 1)
        return found

    def promotion(self, wanted: float, done: float) -> Self:
        """Another primary: wanted and there. Probes of PostgreSQL that are added later are answered by it from then."""
        more = {"from": OLD_PRIMARY.split("/")[1], "to": NEW_PRIMARY.split("/")[1]}
        self.promoted_at = done
        return self.event(wanted, record.FAILING_OVER, "postgres/main-db", **more).event(
            done, record.NEW_PRIMARY, "postgres/main-db", **more
        )

    def event(self, after: float, what: str, who: str, *, stamp: str = "", **more: str) -> Self:
        """Something that was seen so many seconds after the fault."""
        self.events.append(Event(round(self.fault_at + after, 6), what, who, more, stamp))
        return self

    def expecting(self, *what: str) -> Self:
        """What has to happen."""
        self.expect += what
        return self

    def holding(self, *what: str) -> Self:
        """What has to hold."""
        self.hold += what
        return self

    def predicting(self, probe: str, seconds: float, error: float, *parts: tuple[str, float]) -> Self:
        """What was predicted from the settings."""
        shown = [list(each) for each in parts]
        self.predicted[probe] = {"seconds": seconds, "error": error, "parts": shown}
        return self

    def instance(self, name: str, role: str, *, lacking: Sequence[int] = (), probe: str = "", said: str = "") -> Self:
        """An instance with all rows that were acknowledged but ``lacking``; without it both instances have all rows."""
        named = probe or next(each.name for each in self.probes if each.kind == SQL_WRITE)
        there = sorted(set(self.acknowledged(named)) - set(lacking))
        self.rows.append(Rows(self.stopped_at + 1, named, name, role, () if said else ranges(there), {}, said))
        return self

    def acknowledged(self, probe: str) -> list[int]:
        """The rows that a probe knows to be written."""
        return [
            each.row
            for each in self.asked
            if each.probe == probe and each.outcome == record.OK and each.row is not None
        ]

    def drill(self) -> Drill:
        """What was to be done."""
        injection = Injection("power-off", self.target, self.fault_at - self.steady, self.lasts)
        return Drill(
            self.scenario,
            self.title,
            self.steady,
            tuple(self.probes),
            (injection,),
            self.needed,
            self.settle,
            self.expect,
            self.hold,
        )

    def entries(self) -> list[Entry]:
        """The record, in the order in which its lines were written."""
        drill = self.drill()
        begin = Begin(
            at=0.0,
            run=f"20261122T024500Z-{self.scenario}",
            started="2026-11-22T02:45:00.000Z",
            drill=drill.as_json(),
            version="0.7.0",
            cluster="docfast",
            lab=True,
            stand_ins=self.stand_ins,
            predicted=self.predicted,
        )
        control = [
            self._question(CONTROL_PROBE, number, (), session=False)
            for number in range(round(self.stopped_at / CONTROL_PROBE.every))
        ]
        between = [*self.asked, *control, *self.events, *self._phases(), *self._steady()]
        written = [*between, *(self.rows or self._all_rows()), Used(self.stopped_at, 3.1, self.stopped_at)]
        return [begin, *sorted(written, key=lambda each: each.at), End(self.stopped_at + 2, record.DONE)]

    def write(self, path: Path) -> Path:
        """The record as a file."""
        path.write_bytes(b"".join(record.to_line(each) for each in self.entries()))
        return path

    def _phases(self) -> list[Phase]:
        sent, undone = self.fault_at, self.undone_at
        return [
            Phase(sent - 1, 0, record.ARMED, "timer drkit-undo on k3s-mgr"),
            Phase(sent, 0, record.SENT),
            Phase(sent + 0.3, 0, record.ACKNOWLEDGED, "power-off accepted"),
            Phase(sent + 1.1, 0, record.CONFIRMED, "the host does not answer"),
            Phase(undone - 0.5, 0, record.UNDOING),
            Phase(undone, 0, record.UNDONE, "powered on"),
        ]

    def _steady(self) -> list[Steady]:
        return [
            Steady(self.fault_at - 1, record.BEFORE, holds=True),
            Steady(self.undone_at + self.after / 2, record.AFTER, holds=True),
        ]

    def _all_rows(self) -> list[Rows]:
        found = []
        for probe in self.probes:
            if probe.kind == SQL_WRITE:
                there = ranges(sorted(self.acknowledged(probe.name)))
                roles = ("primary", "replica") if math.isinf(self.promoted_at) else ("replica", "primary")
                for name, role in zip((OLD_PRIMARY, NEW_PRIMARY), roles, strict=True):
                    found.append(Rows(self.stopped_at + 1, probe.name, name, role, there))
        return found


def ranges(rows: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Numbers in order, as closed ranges."""
    found: list[tuple[int, int]] = []
    for row in rows:
        if found and row == found[-1][1] + 1:
            found[-1] = (found[-1][0], row)
        else:
            found.append((row, row))
    return tuple(found)


def typical() -> Story:
    """A worker with the primary loses its power: a page is out for 14.2 s, writes for 18.1 s; nothing is lost."""
    return (
        Story()
        .promotion(wanted=12.5, done=17.9)
        .probe("page/docfast.example", "http", every=0.1, window=15.0, out=[(0.2, 14.2)], session=True)
        .probe("write/main-db", "sql-write", every=0.2, window=30.0, out=[(0.2, 18.2)])
        .event(10.1, record.NODE_NOT_READY, WORKER, stamp="2026-11-22T02:45:22Z")
        .event(10.2, record.ENDPOINT_REMOVED, "docfast/docfast", pod="docfast-1", node=WORKER)
        .event(14.3, record.TARGET_UNHEALTHY, f"{WORKER}:443")
        .predicting("page/docfast.example", 12.5, 3.0, ("load balancer check", 12.5))
        .expecting("promoted")
        .holding("no acknowledged write lost", "one primary")
    )
