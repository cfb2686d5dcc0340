"""One drill, on a value of this process: what asks it is a thread."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from drkit import process
from drkit.drill.record import AFTER, BEFORE, FAILED, OK, Asked, Begin, End, Phase, Recorder, Rows, Steady, read
from drkit.drill.run import Parts, run
from drkit.drill.values import Drill, Injection, Probe
from drkit.errors import Interrupted, SourceFailed
from drkit.observe.progress import PlainReporter
from tests.unit.drill.switch import Switch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from drkit.drill.record import Entry

EVERY = 0.02
DRILL = Drill(
    "switch",
    "Something is turned off",
    steady_seconds=0.2,
    probes=(Probe("page", "http", "http://127.0.0.1/", EVERY, 0.1, 1.0),),
    injections=(Injection("switch", "w1", 0.0, 0.3),),
    needed=3,
    settle_seconds=0.5,
)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up soon on a steady state that does not come, and late on a machine that is busy."""
    monkeypatch.setattr("drkit.drill.run._STEADY_MORE_SECONDS", 0.5)
    monkeypatch.setattr("drkit.drill.run._STALE_SECONDS", 20.0)


@dataclass
class World:
    """What is drilled: a page that answers while the switch is off, and a cluster that is whole or not."""

    switch: Switch = field(default_factory=Switch)
    broken: bool = False
    dead: bool = False
    problems: Sequence[str] = ()
    asking: Callable[[], object] = lambda: None

    def see(self) -> None:
        """The prober's word."""
        if self.dead:
            raise SourceFailed("the prober has died")

    def asked(self) -> Sequence[str]:
        """The cluster's word, for which it takes its time."""
        self.asking()
        return self.problems

    @contextmanager
    def measuring(self, recorder: Recorder) -> Iterator[World]:
        """Ask every now and then whether the page answers."""
        over = threading.Event()

        def ask() -> None:
            start, number = recorder.at(), 0
            while not over.wait(EVERY):
                due = start + number * EVERY
                outcome = FAILED if self.broken or self.switch.on else OK
                recorder.write(Asked(recorder.at(), "page", number, due, recorder.at(), outcome))
                number += 1

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join()

    def parts(self) -> Parts:
        """As a drill wants them."""
        return Parts(
            [self.switch],
            self.measuring,
            self.asked,
            lambda recorder: [Rows(recorder.at(), "write", "main-db-1", "primary", ((0, 3),))],
            lambda _: nullcontext(),
        )


def drilled(path: Path, world: World, drill: Drill = DRILL) -> list[Entry]:
    """Run it, and return what the record says."""
    run(path, lambda at: Begin(at, "run", "", drill.as_json(), "0", "test"), drill, world.parts(), PlainReporter())
    return list(read(path))


def of(kind: type, entries: list[Entry]) -> list[str]:
    """What the entries of a kind say, in their order."""
    names = {Phase: "phase", End: "how", Steady: "when"}
    return [str(getattr(entry, names[kind])) for entry in entries if isinstance(entry, kind)]


def test_a_drill_goes_from_steady_state_to_steady_state(tmp_path: Path) -> None:
    """Steady before, the fault and its undo, steady after, every instance's rows, and the end."""
    world = World()
    entries = drilled(tmp_path / "record", world)
    assert isinstance(entries[0], Begin)
    assert of(Steady, entries) == [BEFORE, AFTER]
    assert all(entry.holds for entry in entries if isinstance(entry, Steady))
    assert of(Phase, entries) == ["armed", "sent", "acknowledged", "confirmed", "undoing", "undone"]
    assert isinstance(entries[-2], Rows)
    assert of(End, entries) == ["done"]
    asked = [entry for entry in entries if isinstance(entry, Asked)]
    assert {OK, FAILED} == {entry.outcome for entry in asked}


def test_nothing_is_hurt_that_is_not_well(tmp_path: Path) -> None:
    """Without a steady state before it, no fault is sent, and the record says what was not well."""
    entries = drilled(tmp_path / "record", World(broken=True))
    assert of(Phase, entries) == []
    assert [(each.when, each.holds) for each in entries if isinstance(each, Steady)] == [(BEFORE, False)]
    assert of(End, entries) == ["done"]


def test_a_cluster_with_problems_is_not_hurt(tmp_path: Path) -> None:
    """Probes that succeed are not enough: the cluster has to be whole."""
    entries = drilled(tmp_path / "record", World(problems=["node w2 is not ready"]))
    assert of(Phase, entries) == []
    assert [each.said for each in entries if isinstance(each, Steady)] == ["node w2 is not ready"]


def test_probes_that_fail_while_the_cluster_is_asked(tmp_path: Path) -> None:
    """The cluster's answer may take seconds: it is steady only if the probes still succeed after it."""
    world = World()

    def broken_meanwhile() -> None:
        world.broken = True
        time.sleep(5 * EVERY)

    world.asking = broken_meanwhile
    assert of(Phase, drilled(tmp_path / "record", world)) == []


def test_a_cluster_that_stays_broken_is_recorded_as_that(tmp_path: Path) -> None:
    """The wait for the cluster to be whole ends, and its last word is in the record."""
    world = World()

    class Breaks(Switch):
        def undo(self) -> str:
            world.problems = ["node w1 is not ready"]
            return super().undo()

    world.switch = Breaks()
    entries = drilled(tmp_path / "record", world)
    after = [each for each in entries if isinstance(each, Steady)][-1]
    assert (after.when, after.holds, after.said) == (AFTER, False, "node w1 is not ready")


@pytest.mark.usefixtures("own_programs")
def test_an_interrupted_drill_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C while the fault is there: it is undone, the record ends, and the command says so."""
    world = World()
    drill = replace(DRILL, injections=(replace(DRILL.injections[0], lasts=600.0),))

    def interrupt() -> None:
        assert world.switch.seen.wait(20)
        process.note_interrupt()

    threading.Thread(target=interrupt).start()
    with pytest.raises(Interrupted):
        drilled(tmp_path / "record", world, drill)
    assert not world.switch.on
    assert of(End, list(read(tmp_path / "record"))) == ["interrupted"]


def test_a_prober_that_dies_ends_the_drill_and_the_fault(tmp_path: Path) -> None:
    """Without anybody who measures, nothing is hurt any longer."""
    world = World()
    drill = replace(DRILL, injections=(replace(DRILL.injections[0], lasts=600.0),))

    def die() -> None:
        assert world.switch.seen.wait(20)
        world.dead = True

    threading.Thread(target=die).start()
    with pytest.raises(SourceFailed, match="died"):
        drilled(tmp_path / "record", world, drill)
    assert not world.switch.on
    assert of(End, list(read(tmp_path / "record"))) == ["failed"]
