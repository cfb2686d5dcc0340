"""One job: decides with its record whether it is due, runs it, keeps what became of it, and tells."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from drkit.observe import log as logs
from drkit.observe.log import Level
from drkit.observe.text import duration
from drkit.schedule import child, events, record
from drkit.schedule.events import Outcome
from drkit.schedule.record import Ended
from drkit.schedule.summary import summary
from drkit.schedule.timing import Due

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from drkit.clock import Clock
    from drkit.observe.log import Log
    from drkit.schedule.child import Result
    from drkit.schedule.events import Event, Listener
    from drkit.schedule.jobs import Job
    from drkit.schedule.lanes import Lanes
    from drkit.schedule.record import Record
    from drkit.schedule.store import Store

PROGRAM = (sys.executable, "-P", "-m", "drkit")
"""drkit itself, by the interpreter that runs it now; ``-P`` keeps it from importing what lies where it is started."""


@dataclass(frozen=True)
class Shared:
    """What all jobs of a scheduler share.

    Attributes:
        cluster: as ``drkit.yaml`` calls it.
        store: the records.
        lanes: who may use which vault.
        clock: the time.
        log: who hears how it goes.
        ending: set when the scheduler has to end.
        listeners: who hears what became of the runs.
        program: what runs a job's arguments.
        starters: who hears that a run begins, by the job's name and kind.
    """

    cluster: str
    store: Store
    lanes: Lanes
    clock: Clock
    log: Log
    ending: threading.Event
    listeners: Sequence[Listener] = ()
    program: tuple[str, ...] = PROGRAM
    starters: Sequence[Callable[[str, str], None]] = ()


class Runner:
    """One job of a scheduler."""

    def __init__(self, job: Job, shared: Shared) -> None:
        self.job = job
        self._shared = shared
        self._busy = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether it runs, or waits in line."""
        return self._busy.locked()

    def begin(self) -> None:
        """Take up the record that there is: what ran when the last scheduler died is known to have ended."""
        now = self._shared.clock.now()
        found = self._shared.store.get(self.job.name)
        if found is not None and found.running is not None:
            self._end(found, record.died(found.running, now))
        self.look()

    def look(self) -> datetime | None:
        """When it is due next by the clock of now; None while it runs."""
        if not self._busy.acquire(blocking=False):
            return None
        try:
            return record.upcoming(self._settled())
        finally:
            self._busy.release()

    def fire(self) -> None:
        """Run it if it is due, and once more if it came due again while it ran."""
        with self._busy:
            first = True
            while not self._shared.ending.is_set() and self._once(tell=first):
                first = False

    def run_now(self) -> Ended:
        """Run it once, now: whoever keeps the times has started this. How it ended."""
        self.begin()
        with self._busy:
            known, now = self._settled(), self._shared.clock.now()
            found = record.wanted(known, now)
            if found is not None and record.missed(known, found, now):
                self._tell(events.missed(self._shared.cluster, self.job, known, found, now))
            return self._run(known, found or Due(now, 1))

    def end(self) -> None:
        """Have what runs interrupted, and begin nothing more."""
        self._shared.ending.set()

    def _settled(self) -> Record:
        shared, name = self._shared, self.job.name
        now = shared.clock.now()
        found = shared.store.get(name)
        settled = record.new(self.job.times, now) if found is None else record.settled(found, self.job.times, now)
        if settled != found:
            shared.store.put(name, settled)
        return settled

    def _once(self, *, tell: bool) -> bool:
        """One run, if one is due; whether there was one."""
        shared = self._shared
        known, now = self._settled(), shared.clock.now()
        found = record.wanted(known, now)
        if found is None:
            return False
        if tell and record.missed(known, found, now):
            self._tell(events.missed(shared.cluster, self.job, known, found, now))
        with shared.lanes.hold(self.job.name, self.job.vaults, shared.ending, self._waiting) as mine:
            # What came due while it waited in line is served by the same run.
            known = self._settled()
            found = record.wanted(known, shared.clock.now())
            if not mine or found is None:
                return False
            self._run(known, found)
        return True

    def _waiting(self, before: str) -> None:
        self._say(Level.INFO, f"due, and waits for {before}, which uses the same vault")

    def _run(self, known: Record, found: Due) -> Ended:
        shared = self._shared
        started, begin = shared.clock.now(), shared.clock.monotonic()
        running = record.begun(known, found, started)
        shared.store.put(self.job.name, running)
        self._say(Level.INFO, "begins" if found.times else "begins again, after it failed")
        for starter in shared.starters:
            self._pass_on(partial(starter, self.job.name, self.job.kind))
        outcome, status, said = self._result()
        ending = Ended(
            due=found.at,
            started=started,
            ended=shared.clock.now(),
            seconds=round(shared.clock.monotonic() - begin, 3),
            outcome=outcome,
            exit_code=status,
            summary=said,
        )
        self._end(running, ending)
        return ending

    def _result(self) -> tuple[Outcome, int | None, str]:
        shared, job = self._shared, self.job
        environment = {**os.environ, logs.FORMAT: "json"}
        try:
            done = child.run((*shared.program, *job.arguments), environment, job.limit, shared.ending, self._relay)
        except OSError as error:
            return Outcome.FAILED, None, f"it could not be started: {error.strerror or error}"
        return done.outcome, done.status, self._words(done)

    def _words(self, done: Result) -> str:
        if done.outcome is Outcome.TIMED_OUT:
            return f"ended after its limit of {duration(self.job.limit)}"
        _, last, _ = logs.parse(done.last_words.rpartition("\n")[2])
        return summary(self.job.kind, done.status, done.printed, last)

    def _end(self, running: Record, ending: Ended) -> None:
        after = record.ended(running, self.job, ending)
        self._shared.store.put(self.job.name, after)
        self._tell(events.finished(self._shared.cluster, self.job, running, ending, after))

    def _relay(self, line: str) -> None:
        level, message, fields = logs.parse(line)
        self._shared.log.say(level, message, **{**fields, "job": self.job.name})

    def _say(self, level: Level, message: str) -> None:
        self._shared.log.say(level, message, job=self.job.name)

    def _tell(self, event: Event) -> None:
        self._shared.log.say(
            Level.ERROR if event.bad else Level.INFO,
            f"{event.change.value}: {event.summary}",
            job=event.job,
            event=event.as_json(),
        )
        for listener in self._shared.listeners:
            self._pass_on(partial(listener, event))

    def _pass_on(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception as error:  # noqa: BLE001 - who is told must not stop what is told of
            self._say(Level.ERROR, f"the news could not be passed on: {type(error).__name__}: {error}")
