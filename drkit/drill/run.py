"""One drill: steady state, faults, undo, whole again, every instance's word. All that is seen goes into a record."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from drkit import process
from drkit.drill.injecting import Injecting
from drkit.drill.live import Live, unwell
from drkit.drill.record import AFTER, BEFORE, BROKEN, DONE, INTERRUPTED, End, Recorder, Steady
from drkit.errors import DrkitError, Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from drkit.drill.faults.port import Fault
    from drkit.drill.record import Begin, Entry
    from drkit.drill.values import Drill
    from drkit.observe.progress import Reporter

_LOOK_SECONDS = 0.25
_STEADY_PATIENCE = 3
"""The steady state may take so many times its own length, and a little, to come about: first connections are slow."""
_STEADY_MORE_SECONDS = 20.0
_STALE_QUESTIONS = 3
_STALE_SECONDS = 1.0


class Prober(Protocol):
    """What asks, in a process of its own."""

    def see(self) -> None:
        """See that it still asks. Raises ``DrkitError`` where it does not."""
        ...


@dataclass(frozen=True)
class Parts:
    """What a drill is made of.

    Attributes:
        faults: in the order of the drill's injections.
        measuring: starts what asks and what watches, for the time of the body.
        problems: what is not whole in the cluster now; empty where it is.
        ledgers: the rows that every instance has, and what else is to be seen at the end.
        beside: what runs while the faults are there, such as a backup: from the first fault's time on.
    """

    faults: Sequence[Fault]
    measuring: Callable[[Recorder], AbstractContextManager[Prober]]
    problems: Callable[[], Sequence[str]]
    ledgers: Callable[[Recorder], Iterable[Entry]]
    beside: Callable[[Recorder], AbstractContextManager[None]]


def run(path: Path, begin: Callable[[float], Begin], drill: Drill, parts: Parts, reporter: Reporter) -> None:
    """Run it, and leave its record.

    Args:
        path: where the record comes to be.
        begin: makes its first entry.
        drill: what shall happen.
        parts: see ``Parts``.
        reporter: told how it goes.

    Raises:
        Interrupted: a signal came; the faults are undone, and the record says so.
        DrkitError: it could not be done; likewise.
    """
    with Recorder(path, time.monotonic()) as recorder:
        recorder.write(begin(0.0), durably=True)
        running = _Run(recorder, drill, parts, reporter)
        try:
            running.execute()
        except KeyboardInterrupt:
            recorder.write(End(recorder.at(), INTERRUPTED), durably=True)
            raise Interrupted(f"interrupted; the faults are undone (record: {path})") from None
        except DrkitError as error:
            recorder.write(End(recorder.at(), BROKEN, error.message), durably=True)
            raise
        recorder.write(End(recorder.at(), DONE), durably=True)


class _Run:
    def __init__(self, recorder: Recorder, drill: Drill, parts: Parts, reporter: Reporter) -> None:
        self._recorder, self._drill, self._parts, self._reporter = recorder, drill, parts, reporter
        series = [(probe.name, session) for probe in drill.probes for session in {False, probe.session}]
        self._live = Live(recorder.path, series)
        self._stale = _STALE_SECONDS + max(
            (probe.timeout + _STALE_QUESTIONS * probe.every for probe in drill.probes), default=0.0
        )

    def execute(self) -> None:
        with ExitStack() as stack:
            prober = stack.enter_context(self._parts.measuring(self._recorder))
            if self._steady(prober) and self._hurt(prober):
                self._settle(prober)
        for entry in self._parts.ledgers(self._recorder):
            self._recorder.write(entry, durably=True)

    def _steady(self, prober: Prober) -> bool:
        """Wait until every probe has succeeded for as long as the drill wants, and the cluster is whole."""
        wanted = self._drill.steady_seconds
        with self._reporter.task(f"steady state, {wanted:.0f} s"):
            until = time.monotonic() + _STEADY_PATIENCE * wanted + _STEADY_MORE_SECONDS
            while found := self._all(lambda: self._unwell(wanted)):
                if time.monotonic() > until:
                    break
                self._wait(prober)
        return self._say_steady(BEFORE, found)

    def _hurt(self, prober: Prober) -> bool:
        """Have the faults come and go. Returns whether all came as they should."""
        drill = self._drill
        injecting = Injecting(self._parts.faults, drill.injections, self._recorder)
        shown = ", ".join(f"{each.fault} {each.target}" for each in drill.injections)
        try:
            with self._reporter.task(shown), self._parts.beside(self._recorder):
                injecting.begin()
                while not injecting.done:
                    self._wait(prober)
        finally:
            injecting.stop()
        for error in injecting.errors:
            self._reporter.warn(error.message)
        if injecting.errors:
            raise injecting.errors[0]
        return True

    def _settle(self, prober: Prober) -> None:
        """Wait until the cluster is whole again, and every probe succeeds."""
        with self._reporter.task("waiting until the cluster is whole"):
            until = time.monotonic() + self._drill.settle_seconds
            while found := self._all(lambda: self._unwell(0.0) or self._too_few()):
                if time.monotonic() > until:
                    break
                self._wait(prober)
        self._say_steady(AFTER, found)

    def _all(self, probes: Callable[[], Sequence[str]]) -> Sequence[str]:
        """What is not well of probes and cluster. The probes have the last word: to ask the API may take seconds."""
        return probes() or self._parts.problems() or probes()

    def _unwell(self, seconds: float) -> list[str]:
        return unwell(self._live.look().items(), self._recorder.at(), seconds, self._stale)

    def _too_few(self) -> list[str]:
        few = (name for (name, _), each in self._live.look().items() if each.in_a_row < self._drill.needed)
        return [f"{name} has not answered well {self._drill.needed} times in a row" for name in few]

    def _say_steady(self, when: str, problems: Sequence[str]) -> bool:
        self._recorder.write(Steady(self._recorder.at(), when, not problems, "; ".join(problems)), durably=True)
        return not problems

    def _wait(self, prober: Prober) -> None:
        prober.see()
        process.see_interrupt()
        process.pause(_LOOK_SECONDS)
