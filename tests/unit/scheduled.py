"""A scheduler of small real programs, by a clock that the test owns."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from drkit.schedule.daemon import Daemon
from drkit.schedule.jobs import BACKUP, Job
from drkit.schedule.lanes import Lanes
from drkit.schedule.runner import Shared
from drkit.schedule.store import Store
from drkit.schedule.timing import Times
from tests.unit.clocks import SetClock

if TYPE_CHECKING:
    from pathlib import Path

    from drkit.observe.log import Level
    from drkit.schedule.events import Event

BEGIN = datetime(2026, 3, 2, 1, tzinfo=UTC)
_PROGRAM = """
import os, pathlib, signal, sys, time
what, *more = sys.argv[1:]
def until(file):
    while not pathlib.Path(file).exists():
        time.sleep(0.01)
if what == "note":
    with open(more[0], "a") as file:
        file.write("run\\n")
elif what == "wait":
    pathlib.Path(more[0]).touch()
    until(more[1])
elif what == "exit":
    sys.exit(int(more[0]))
elif what == "exit-as":
    sys.exit(int(pathlib.Path(more[0]).read_text()))
elif what == "kill":
    os.kill(os.getpid(), int(more[0]))
elif what == "undo":
    def undo(*_):
        pathlib.Path(more[1]).touch()
        sys.exit(130)
    signal.signal(signal.SIGTERM, undo)
    pathlib.Path(more[0]).touch()
    while True:
        time.sleep(0.01)
elif what == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pathlib.Path(more[0]).touch()
    while True:
        time.sleep(1)
elif what == "flood":
    for stream in (sys.stdout, sys.stderr):
        for _ in range(64):
            stream.write("x" * 1024 * 1024)
    print("last words", file=sys.stderr)
    print("{}")
elif what == "say":
    print(more[0], file=sys.stderr)
"""
PROGRAM = (sys.executable, "-I", "-S", "-c", _PROGRAM)


class KeptLog:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def say(self, level: Level, message: str, **fields: Any) -> None:
        """One more line."""
        self.lines.append((level.value, message, fields))


@dataclass
class Scene:
    """What a scheduler needs; each ``daemon`` is a new one that finds what the last one left."""

    path: Path
    clock: SetClock = field(default_factory=lambda: SetClock(BEGIN))
    log: KeptLog = field(default_factory=KeptLog)
    events: list[Event] = field(default_factory=list)

    def shared(self) -> Shared:
        """For jobs that share it."""
        return Shared(
            "shop",
            Store("shop", self.log),
            Lanes(),
            self.clock,
            self.log,
            threading.Event(),
            (self.events.append,),
            PROGRAM,
        )

    def daemon(self, *jobs: Job) -> Daemon:
        """A scheduler of these jobs."""
        return Daemon(jobs, self.shared())

    def runs(self, name: str = "runs") -> int:
        """How often a job ran that notes it in the file of that name."""
        file = self.path / name
        return len(file.read_text().splitlines()) if file.exists() else 0

    def noting(self, cron: str = "0 3 * * *", zone: str = "UTC", name: str = "runs") -> Job:
        """A job that notes its runs."""
        return job("note", str(self.path / name), name=name, cron=cron, zone=zone)

    def changes(self) -> list[str]:
        """What the news were."""
        return [event.change.value for event in self.events]


def job(
    *arguments: str,
    name: str = "job",
    cron: str = "0 3 * * *",
    zone: str = "UTC",
    limit: float = 60.0,
    vaults: frozenset[str] = frozenset(),
) -> Job:
    """A job that is a small program."""
    return Job(name, BACKUP, Times(cron, zone), limit, arguments, vaults)
