"""The prober as a process: it begins, is stopped, dies with its parent, and what it wrote down outlives it."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from drkit import process
from drkit.drill.probes.ledger import DATABASE, TABLE
from drkit.drill.probes.prober import start
from drkit.drill.probes.wanted import Asking, Control, Place, Sql, Tcp
from drkit.drill.record import OK, UNKNOWN, Asked, Recorder, Used, read
from drkit.drill.values import CONTROL, SQL_READ, SQL_WRITE, TCP, Probe
from drkit.errors import ProberFailed
from tests.lab.processes import alive, command_line, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drkit.lab.postgres import LabPostgres

PATIENCE = 60.0


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    """A record."""
    with Recorder(tmp_path / "record", time.monotonic()) as made:
        yield made


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    give_up = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def answers(path: Path, probe: str) -> list[Asked]:
    """What became of a probe's questions."""
    return [each for each in read(path) if isinstance(each, Asked) and each.probe == probe]


def control(every: float = 0.05) -> Asking:
    """The control probe."""
    return Asking(Probe("control", CONTROL, "the prober's parent", every, 5.0, None, session=True), Control())


def writing(server: LabPostgres) -> Asking:
    """A probe that writes."""
    probe = Probe("w", SQL_WRITE, "a database", 0.05, 5.0, None, session=True)
    return Asking(probe, Sql(server.address(DATABASE), "run"))


def test_it_asks_until_it_is_stopped(recorder: Recorder) -> None:
    """All series have begun when it is started; all that left is in the record when it has stopped, nothing after."""
    with start(recorder.path, recorder.start, [control()]) as prober:
        assert 0 < prober.begun() <= recorder.at()
        begun = answers(recorder.path, "control")
        until(lambda: len(answers(recorder.path, "control")) > len(begun) + 10)
        until(lambda: [each for each in read(recorder.path) if isinstance(each, Used) and each.wall_seconds > 1])
        prober.see()
    ended = answers(recorder.path, "control")
    assert {each.outcome for each in ended} == {OK}
    for session in (False, True):
        numbers = sorted(each.number for each in ended if each.session == session)
        assert numbers == list(range(len(numbers)))
    used = [each for each in read(recorder.path) if isinstance(each, Used)]
    assert all(each.cpu_seconds > 0 and each.wall_seconds >= 1 for each in used)


def test_an_acknowledged_write_outlives_the_prober(recorder: Recorder, probed: LabPostgres) -> None:
    """After a kill -9 of the prober, each row that is there was acknowledged, or is known to have been tried."""
    prober = start(recorder.path, recorder.start, [control(), writing(probed)])
    until(lambda: len(answers(recorder.path, "w")) > 30)
    os.kill(prober.pid, signal.SIGKILL)
    with pytest.raises(ProberFailed, match="killed by signal 9"):
        until(prober.see)
    with pytest.raises(ProberFailed, match="killed by signal 9"):
        prober.stop()
    with probed.dsn(DATABASE).connect() as connection:
        there = {number for (number,) in connection.execute(f"select number from {TABLE}")}
    asked = answers(recorder.path, "w")
    acknowledged = {each.row for each in asked if each.outcome == OK}
    assert len(acknowledged) > 30
    assert acknowledged <= there
    assert there <= acknowledged | {each.row for each in asked if each.outcome == UNKNOWN}
    rows = sorted(each.row for each in asked if each.row is not None)
    assert rows == list(range(len(rows))), "each row that may have been tried has one line"


def test_a_prober_that_is_starved_shows_it(recorder: Recorder) -> None:
    """A prober that does not get the processor asks late, and every question says by how much."""
    with start(recorder.path, recorder.start, [control()]) as prober:
        until(lambda: len(answers(recorder.path, "control")) > 5)
        os.kill(prober.pid, signal.SIGSTOP)
        time.sleep(0.5)  # nothing is to happen for some time
        os.kill(prober.pid, signal.SIGCONT)
        until(lambda: max(each.sent - each.due for each in answers(recorder.path, "control")) > 0.4)
    numbers = sorted(each.number for each in answers(recorder.path, "control") if not each.session)
    assert numbers == list(range(len(numbers)))


def test_no_secret_is_seen(recorder: Recorder, probed: LabPostgres) -> None:
    """A password is in no argument, no environment and no record, even where the target repeats it."""
    wrong = probed.address(DATABASE, user="secret-word", password="secret-word")
    probe = Probe("r", SQL_READ, "a database", 0.1, 5.0, None)
    with start(recorder.path, recorder.start, [Asking(probe, Sql(wrong, "run"))]) as prober:
        shown = command_line(prober.pid), environment(prober.pid)
        until(lambda: answers(recorder.path, "r"))
    assert "secret-word" not in str(shown)
    assert "28P01" in answers(recorder.path, "r")[0].said
    assert "secret-word" not in recorder.path.read_text()


def test_what_cannot_be_asked_is_said_at_the_start(recorder: Recorder) -> None:
    """A prober that cannot do what it is told fails at once, with the reason."""
    probe = Probe("r", SQL_READ, "a database", 0.1, 5.0, None)
    with pytest.raises(ProberFailed, match="target_session_attrs"):
        start(recorder.path, recorder.start, [Asking(probe, Sql("host=a target_session_attrs=primary", "run"))])


def test_a_record_that_cannot_be_written_ends_it(tmp_path: Path) -> None:
    """A prober that cannot write down what it sees does not go on asking."""
    with pytest.raises(ProberFailed, match="ended with status 1"):
        start(tmp_path / "nowhere" / "record", time.monotonic(), [control()])


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    """A kill -9 of whoever started it ends it, so that nobody goes on writing into a database."""
    script = f"""
        import time
        from pathlib import Path
        from drkit.drill.probes.prober import start
        from tests.unit.drill.probes.test_prober import control
        prober = start(Path({str(tmp_path / "record")!r}), time.monotonic(), [control()])
        print(prober.pid, flush=True)
        time.sleep(600)
    """
    argv = [sys.executable, "-c", textwrap.dedent(script)]
    parent = process.spawn(argv, env=process.clean_environment(), cwd=str(Path.cwd()), stderr=subprocess.DEVNULL)
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
        until(lambda: not alive(pid))
    finally:
        process.stop(parent)


@contextmanager
def few_descriptors() -> Iterator[None]:
    """As many as a process has by default."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_all_hang_and_none_is_late_for_want_of_descriptors(recorder: Recorder) -> None:
    """A thousand questions that wait at the same time are no trouble."""
    with few_descriptors(), socket.create_server(("127.0.0.1", 0), backlog=4096) as silent:
        place = Place("127.0.0.1", silent.getsockname()[1])
        probe = Probe("t", TCP, "a port that says nothing", 0.004, 6.0, None)
        with start(recorder.path, recorder.start, [Asking(probe, Tcp(place, "a", "a")), control()]):
            until(lambda: len(answers(recorder.path, "t")) > 100)
    assert {each.said for each in answers(recorder.path, "t")} == {"timeout"}
    assert {each.outcome for each in answers(recorder.path, "control")} == {OK}
