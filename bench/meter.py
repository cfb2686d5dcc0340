"""Runs programs and measures them: time by the clock, processor time of everything concerned, peak memory."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import IO, TYPE_CHECKING, Any

from bench.processes import machine_seconds, peak_memory, processor_seconds, tree
from drkit import process
from drkit.errors import DrkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

CORES = 2
"""The work of everybody is divided by so many: what perfect use of two cores would take."""
_SAMPLING_SECONDS = 0.25
_QUIET_SECONDS = 15.0
_IDLE = 0.15
"""The machine counts as idle where all that runs on it needs no more than this part of one core."""
_GLANCE_SECONDS = 1.0


@dataclass(frozen=True)
class Program:
    """A program to run: its arguments and its whole environment."""

    argv: Sequence[str]
    env: Mapping[str, str]
    discard: bool = False
    """What it prints is thrown away, not kept."""


Pipeline = tuple[Program, ...]
"""Programs that run side by side, each reading what the one before it prints."""


@dataclass(frozen=True)
class Measured:
    """What one run took. Seconds and bytes."""

    seconds: float
    work: Mapping[str, float]
    """Processor time by who spent it: the programs and their children, PostgreSQL's server, sshd with borg serve."""
    others: float
    """Processor time of everything else on the machine meanwhile; much of it spoils the figure."""
    own_peak: int
    """Peak memory of the first program itself."""
    peaks: Mapping[str, int]
    """Peak memory of each program below it, by name."""
    output: str = field(default="", repr=False)

    @property
    def over_two_cores(self) -> float:
        """Seconds that the same work takes where two cores never idle."""
        return sum(self.work.values()) / CORES

    @property
    def largest_child(self) -> tuple[str, int]:
        """The program below it that took the most memory."""
        return max(self.peaks.items(), key=lambda item: item[1], default=("", 0))

    def as_json(self) -> dict[str, Any]:
        """Every figure, without what the program printed."""
        figures = asdict(self)
        del figures["output"]
        figures["seconds"] = round(self.seconds, 4)
        figures["others"] = round(self.others, 2)
        figures["work"] = {name: round(seconds, 2) for name, seconds in self.work.items()}
        return {**figures, "over_two_cores": round(self.over_two_cores, 2)}


@dataclass
class _Peaks:
    """Watches a process and those below it; the kernel keeps the peaks, they only have to be read before the end."""

    root: int
    own: int = 0
    children: dict[str, int] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(_SAMPLING_SECONDS):
            for each in tree(self.root):
                peak = peak_memory(each.pid)
                if each.pid == self.root:
                    self.own = max(self.own, peak)
                else:
                    self.children[each.name] = max(self.children.get(each.name, 0), peak)


class Meter:
    """Measures runs on a machine where these servers are the only others concerned.

    Args:
        servers: process ids of servers whose work counts, by name.
        sessions: the one of them whose children are sessions that must have ended before anything is read.
        patience: seconds to wait before each run, at the most, for others to leave the machine idle.
    """

    def __init__(self, servers: Mapping[str, int], sessions: str, patience: float) -> None:
        self._servers = servers
        self._sessions = servers[sessions]
        self._patience = patience

    def beside(self, servers: Mapping[str, int]) -> Meter:
        """One for which the work of these servers counts too."""
        sessions = next(name for name, pid in self._servers.items() if pid == self._sessions)
        return Meter({**self._servers, **servers}, sessions, self._patience)

    def run(self, jobs: Sequence[Pipeline], directory: Path) -> Measured:
        """Run pipelines one after the other and measure them as one.

        Args:
            jobs: what to run.
            directory: where what they print is kept for the time of the run.

        Raises:
            DrkitError: a program failed; with its last words.
        """
        self._await_quiet()
        os.sync()
        self._await_idleness()
        before, machine, began = self._work(), _not_ours(), time.monotonic()
        own, output = 0, ""
        peaks: dict[str, int] = {}
        for job in jobs:
            ended = _run(job, directory)
            own = max(own, ended.own)
            peaks.update({name: max(peak, peaks.get(name, 0)) for name, peak in ended.peaks.items()})
            output += ended.output
        seconds = time.monotonic() - began
        self._await_quiet()
        after = self._work()
        work = {name: after[name] - before[name] for name in after}
        others = max(0.0, _not_ours() - machine - sum(work.values()))
        return Measured(seconds, work, others, own, peaks, output)

    def watch(self, body: Callable[[], None]) -> Measured:
        """Measure what this process has done by programs that have ended when it returns; they have no peaks."""
        self._await_idleness()
        before, machine, began = self._work(), _not_ours(), time.monotonic()
        body()
        seconds = time.monotonic() - began
        after = self._work()
        work = {name: after[name] - before[name] for name in after}
        return Measured(seconds, work, max(0.0, _not_ours() - machine - sum(work.values())), 0, {})

    def _work(self) -> dict[str, float]:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        servers = {name: processor_seconds(pid) for name, pid in self._servers.items()}
        return {"programs": usage.ru_utime + usage.ru_stime, **servers}

    def _await_idleness(self) -> None:
        until = time.monotonic() + self._patience
        while time.monotonic() < until:
            began = machine_seconds()
            time.sleep(_GLANCE_SECONDS)  # how much is used can only be seen over some time
            if machine_seconds() - began <= _IDLE * _GLANCE_SECONDS:
                return

    def _await_quiet(self) -> None:
        """Wait for sessions of the run before: borg serve ends a little after its client."""
        until = time.monotonic() + _QUIET_SECONDS
        while len(tree(self._sessions)) > 1:
            if time.monotonic() > until:
                raise DrkitError("a session of sshd does not end")
            time.sleep(0.02)  # the kernel tells nobody but the parent when a process ends


def _not_ours() -> float:
    return machine_seconds() - time.process_time()


@dataclass(frozen=True)
class _Ended:
    own: int
    peaks: Mapping[str, int]
    output: str


def _run(job: Pipeline, directory: Path) -> _Ended:
    with tempfile.TemporaryFile(dir=directory) as printed, tempfile.TemporaryFile(dir=directory) as said:
        children: list[subprocess.Popen[bytes]] = []
        try:
            for program in job:
                children.append(_start(program, children, job, printed, said))
            peaks = _Peaks(children[0].pid)
            with peaks.watching():
                statuses = [child.wait() for child in children]
        finally:
            for child in children:
                process.stop(child)
        said.seek(0)
        if any(statuses):
            raise DrkitError(
                f"{_shown(job)} ended with {statuses}\n{process.tail(said.read().decode(errors='replace'))}"
            )
        printed.seek(0)
        return _Ended(peaks.own, peaks.children, printed.read().decode(errors="replace"))


def _start(
    program: Program, before: Sequence[subprocess.Popen[bytes]], job: Pipeline, printed: IO[bytes], said: IO[bytes]
) -> subprocess.Popen[bytes]:
    stdin = before[-1].stdout if before else None
    last = subprocess.DEVNULL if program.discard else printed
    stdout = last if len(before) + 1 == len(job) else subprocess.PIPE
    child = process.spawn(
        program.argv, env=program.env, stdin=subprocess.DEVNULL if stdin is None else stdin, stdout=stdout, stderr=said
    )
    if stdin is not None:
        stdin.close()  # the child has it; while we had it too, the program before would not see the child go
    return child


def _shown(job: Pipeline) -> str:
    return " | ".join(" ".join(program.argv[:2]) for program in job)
