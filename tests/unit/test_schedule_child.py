"""Runs of jobs as processes: whatever they do, the scheduler learns how they ended."""

from __future__ import annotations

import os
import signal
import threading
import tracemalloc
from pathlib import Path

import pytest

from drkit.schedule.child import Result, run
from drkit.schedule.events import Outcome
from tests.lab.processes import alive
from tests.lab.waiting import until
from tests.unit.scheduled import PROGRAM


def _run(*arguments: str, limit: float = 60.0, ending: threading.Event | None = None, patience: float = 60.0) -> Result:
    lines: list[str] = []
    return run((*PROGRAM, *arguments), dict(os.environ), limit, ending or threading.Event(), lines.append, patience)


@pytest.mark.parametrize(
    ("arguments", "outcome", "status"),
    [
        (("exit", "0"), Outcome.DONE, 0),
        (("exit", "13"), Outcome.FAILED, 13),
        (("kill", str(int(signal.SIGSEGV))), Outcome.FAILED, -signal.SIGSEGV),
        (("kill", str(int(signal.SIGKILL))), Outcome.FAILED, -signal.SIGKILL),
    ],
)
def test_how_a_run_ended_is_known(arguments: tuple[str, ...], outcome: Outcome, status: int) -> None:
    """By its exit code, or the signal that killed it."""
    done = _run(*arguments)
    assert (done.outcome, done.status) == (outcome, status)


def test_a_run_that_never_ends_is_ended(tmp_path: Path) -> None:
    """After its limit it is asked to, and undoes what it began."""
    done = _run("undo", str(tmp_path / "ready"), str(tmp_path / "undone"), limit=2.0)
    assert (done.outcome, done.status) == (Outcome.TIMED_OUT, 130)
    assert (tmp_path / "undone").exists()


def test_a_run_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    """Where asking does not help, force does, and nothing is left of it."""
    ready, ending = tmp_path / "ready", threading.Event()
    found: list[Result] = []
    thread = threading.Thread(target=lambda: found.append(_run("deaf", str(ready), ending=ending, patience=0.3)))
    thread.start()
    until(ready.exists)
    ending.set()
    thread.join(30)
    assert [(each.outcome, each.status) for each in found] == [(Outcome.INTERRUPTED, -signal.SIGKILL)]


def test_a_run_is_interrupted_and_undoes(tmp_path: Path) -> None:
    """When the scheduler ends, the run hears of it once, and has the time that it needs."""
    ready, undone, ending = tmp_path / "ready", tmp_path / "undone", threading.Event()
    found: list[Result] = []
    thread = threading.Thread(target=lambda: found.append(_run("undo", str(ready), str(undone), ending=ending)))
    thread.start()
    until(ready.exists)
    ending.set()
    thread.join(30)
    assert [(each.outcome, each.status) for each in found] == [(Outcome.INTERRUPTED, 130)]
    assert undone.exists()


def test_a_run_that_floods_its_outputs_fills_no_memory() -> None:
    """Of 128 MB that a broken job says without an end of line, no more is kept than an answer may need."""
    tracemalloc.start()
    try:
        done = _run("flood")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert done.outcome is Outcome.DONE
    assert len(done.printed) <= 8 * 1024 * 1024
    assert peak < 40 * 1024 * 1024


def test_a_program_that_is_not_there_is_an_error_not_an_end() -> None:
    """The scheduler is told, as of any other failure."""
    with pytest.raises(FileNotFoundError, match="no program"):
        run(("/nonexistent/drkit",), {}, 1.0, threading.Event(), print)


def test_nothing_is_left_of_runs() -> None:
    """Twenty runs leave no process, no open file and no thread."""
    _run("exit", "0")
    before = _open()
    for _ in range(20):
        _run("exit", "0")
    assert _open() == before
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not [child for child in children if alive(int(child)) and b"what, *more" in _line(child)]


def _open() -> tuple[int, int]:
    """This process's files and threads."""
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


def _line(pid: str) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
