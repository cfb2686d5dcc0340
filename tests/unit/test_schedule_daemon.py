"""The scheduler at work: real children, a clock that the test owns."""

from __future__ import annotations

import datetime as dt
import os
import resource
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from drkit.errors import SchedulerRuns
from drkit.schedule.daemon import Daemon
from drkit.schedule.events import Health, Outcome
from tests.lab.waiting import until
from tests.unit.scheduled import BEGIN, Scene, job

if TYPE_CHECKING:
    from drkit.schedule.events import Event
    from drkit.schedule.runner import Shared

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A scheduler's surroundings. APScheduler, which has no port for the time, is given the same clock."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = Scene(tmp_path)

    class Set(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return made.clock.now().astimezone(tz)

    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Set)
    monkeypatch.setattr("apscheduler.executors.base.datetime", Set)
    return made


def _at(scene: Scene, daemon: Daemon, moment: datetime) -> None:
    """The clock shows this, and the scheduler looks at it."""
    scene.clock.set(moment)
    daemon.look()


def _settle(scene: Scene, daemon: Daemon, runs: int, name: str = "runs") -> None:
    """See that it came to so many runs, and that looking again makes no more of them."""
    until(lambda: scene.runs(name) == runs == sum(event.outcome is not None for event in scene.events))
    for _ in range(3):
        daemon.look()
    until(lambda: all(alarm.next_run_time > scene.clock.now() for alarm in daemon._alarms.get_jobs()))
    assert scene.runs(name) == runs


def test_a_job_runs_at_its_times(scene: Scene) -> None:
    """Not before, then once, and once more on the next day."""
    daemon = scene.daemon(scene.noting())
    with daemon.running():
        _at(scene, daemon, BEGIN + 2 * HOUR - timedelta(seconds=1))
        _settle(scene, daemon, 0)
        _at(scene, daemon, BEGIN + 2 * HOUR)
        _settle(scene, daemon, 1)
        _at(scene, daemon, BEGIN + 26 * HOUR)
        _settle(scene, daemon, 2)
    assert scene.changes() == ["success", "success"]


def test_runs_that_were_missed_are_made_up_for_by_one(scene: Scene) -> None:
    """After days in which the machine was off: one run at once, with the news of how many did not come."""
    with scene.daemon(scene.noting()).running():
        pass
    scene.clock.set(BEGIN + 5 * DAY)
    daemon = scene.daemon(scene.noting())
    with daemon.running():
        _settle(scene, daemon, 1)
    assert scene.changes() == ["missed", "success"]
    assert scene.events[0].missed == 5
    daemon = scene.daemon(scene.noting())
    with daemon.running():
        _settle(scene, daemon, 1)


def test_a_clock_set_forward_is_noticed(scene: Scene) -> None:
    """An hour that was skipped takes nothing with it: what was due in it runs at once, and once."""
    daemon = scene.daemon(scene.noting("30 * * * *"))
    with daemon.running():
        _at(scene, daemon, BEGIN + HOUR)
        _settle(scene, daemon, 1)
        _at(scene, daemon, BEGIN + 2 * HOUR)
        _settle(scene, daemon, 2)


def test_a_clock_set_back_by_an_hour_repeats_nothing(scene: Scene) -> None:
    """What ran at 03:00 does not run when the clock shows 03:00 again."""
    daemon = scene.daemon(scene.noting())
    with daemon.running():
        _at(scene, daemon, BEGIN + 2 * HOUR + HOUR / 2)
        _settle(scene, daemon, 1)
        _at(scene, daemon, BEGIN + HOUR + HOUR / 2)
        _settle(scene, daemon, 1)
        _at(scene, daemon, BEGIN + 2 * HOUR)
        _settle(scene, daemon, 1)
        _at(scene, daemon, BEGIN + 26 * HOUR)
        _settle(scene, daemon, 2)


def test_a_clock_that_was_years_ahead_stops_nothing(scene: Scene) -> None:
    """As on a machine that boots with a wrong clock: when it is put right, the next night is the next night."""
    daemon = scene.daemon(scene.noting())
    with daemon.running():
        _at(scene, daemon, BEGIN + 1000 * DAY)
        _settle(scene, daemon, 1)
        _at(scene, daemon, BEGIN)
        _settle(scene, daemon, 1)
        _at(scene, daemon, BEGIN + 2 * HOUR)
        _settle(scene, daemon, 2)


@pytest.mark.parametrize("night", [datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)])
def test_a_night_of_daylight_saving_has_one_backup(scene: Scene, night: datetime) -> None:
    """02:30 in Berlin, minute by minute through the night where it does not exist, and where it exists twice."""
    scene.clock.set(night + 20 * HOUR)
    daemon = scene.daemon(scene.noting("30 2 * * *", "Europe/Berlin"))
    with daemon.running():
        for minutes in range(0, 10 * 60, 15):
            _at(scene, daemon, night + 20 * HOUR + timedelta(minutes=minutes))
            begun = scene.clock.now() >= _first(night)
            _settle(scene, daemon, 1 if begun else 0)


def _first(night: datetime) -> datetime:
    there = night.astimezone(ZoneInfo("Europe/Berlin")).replace(hour=2, minute=30) + DAY
    return datetime(2026, 3, 29, 1, tzinfo=UTC) if night.month == 3 else there.replace(fold=0).astimezone(UTC)


def test_a_job_that_is_due_while_it_runs_runs_once_more_afterwards(scene: Scene) -> None:
    """Three times that pass during a long run are one run after it, never one beside it."""
    ready, go = scene.path / "ready", scene.path / "go"
    daemon = scene.daemon(job("wait", str(ready), str(go), cron="0 * * * *"))
    with daemon.running():
        _at(scene, daemon, BEGIN + HOUR)
        until(ready.exists)
        for hours in (2, 3, 4):
            _at(scene, daemon, BEGIN + hours * HOUR)
        assert not scene.events
        go.touch()
        until(lambda: len(scene.events) == 2)
        daemon.look()
    assert [event.due for event in scene.events] == [BEGIN + HOUR, BEGIN + 4 * HOUR]
    assert scene.changes() == ["success", "success"]


def test_jobs_that_share_a_vault_wait_for_each_other(scene: Scene) -> None:
    """In the order in which they came; one that uses another vault does not wait."""
    ready, go, a, b = scene.path / "ready", scene.path / "go", frozenset({"a"}), frozenset({"b"})
    daemon = scene.daemon(
        job("wait", str(ready), str(go), name="first", cron="0 3 * * *", vaults=a),
        job("exit", "0", name="second", cron="10 3 * * *", vaults=a | b),
        job("exit", "0", name="third", cron="20 3 * * *", vaults=a),
        job("exit", "0", name="free", cron="15 3 * * *", vaults=frozenset({"c"})),
    )
    with daemon.running():
        for minutes in (0, 10, 20):
            _at(scene, daemon, BEGIN + 2 * HOUR + timedelta(minutes=minutes))
            until(lambda: ready.exists() and _waits(scene) == minutes // 10)  # noqa: B023 - called before it changes
        until(lambda: [event.job for event in scene.events] == ["free"])
        go.touch()
        until(lambda: len(scene.events) == 4)
    assert [event.job for event in scene.events] == ["free", "first", "second", "third"]


def _waits(scene: Scene) -> int:
    return sum("waits for" in message for _, message, _ in scene.log.lines)


def test_a_broken_job_disturbs_no_other(scene: Scene) -> None:
    """Beside jobs that crash, hang, and flood their outputs, and listeners that fail, the last one runs as ever."""

    def fail(event: Event) -> None:
        raise ValueError(event.job)

    shared = scene.shared()
    broken = (
        job("kill", "11", name="crash"),
        job("deaf", str(scene.path / "deaf"), name="hang", limit=600.0),
        job("flood", name="flood"),
    )
    daemon = Daemon((*broken, scene.noting()), replace(shared, listeners=(fail, *shared.listeners)))
    with daemon.running():
        _at(scene, daemon, BEGIN + 2 * HOUR)
        until(lambda: scene.runs() == 1 and len(scene.events) == 3 and (scene.path / "deaf").exists())
        _at(scene, daemon, BEGIN + 26 * HOUR)
        until(lambda: scene.runs() == 2)
        for pid in _children("deaf"):
            os.kill(pid, 9)
    crash = next(event for event in scene.events if event.job == "crash")
    assert (crash.outcome, crash.exit_code, crash.now) == (Outcome.FAILED, -11, Health.FAILING)
    assert any("could not be passed on: ValueError" in message for _, message, _ in scene.log.lines)


def _children(word: str) -> list[int]:
    own = Path(f"/proc/{os.getpid()}/task")
    pids = {int(pid) for task in own.iterdir() for pid in (task / "children").read_text().split()}
    return [pid for pid in pids if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]


def test_a_vault_that_is_down_is_told_once_and_its_return_too(scene: Scene) -> None:
    """A day of failures is one failure, then still failing; the first good run is the recovery, and there is one."""
    status = scene.path / "status"
    status.write_text("10")
    daemon = scene.daemon(job("exit-as", str(status), cron="0 */6 * * *"))
    with daemon.running():
        for hours in range(5, 30):
            _at(scene, daemon, BEGIN + hours * HOUR)
            until(lambda: len(scene.events) >= hours - 4)  # noqa: B023 - called before it changes
        status.write_text("0")
        count = len(scene.events)
        _at(scene, daemon, BEGIN + 30 * HOUR)
        until(lambda: len(scene.events) == count + 1)
        _at(scene, daemon, BEGIN + 31 * HOUR)
        daemon.look()
    changes = scene.changes()
    assert (changes[0], changes[-1], set(changes[1:-1])) == ("failure", "recovery", {"still-failing"})


def test_a_job_goes_on_after_the_scheduler_was_told_to_end(scene: Scene) -> None:
    """What is interrupted undoes, is no failure, and is the first thing that the next scheduler does."""
    ready, undone = scene.path / "ready", scene.path / "undone"
    daemon = scene.daemon(job("undo", str(ready), str(undone)))
    with daemon.running():
        _at(scene, daemon, BEGIN + 2 * HOUR)
        until(ready.exists)
    assert undone.exists()
    assert scene.changes() == ["interrupted"]
    scene.clock.passes(hours=1)
    with scene.daemon(scene.noting(name="job")).running():
        until(lambda: scene.runs("job") == 1 and len(scene.events) == 2)
    assert scene.changes() == ["interrupted", "success"]


def test_a_job_that_waits_in_line_ends_with_the_scheduler(scene: Scene) -> None:
    """It never began: nothing is said of it, and it is due when the next scheduler comes."""
    ready, a = scene.path / "ready", frozenset({"a"})
    jobs = (
        job("undo", str(ready), str(scene.path / "undone"), name="first", vaults=a),
        job("exit", "0", name="second", cron="1 3 * * *", vaults=a),
    )
    daemon = scene.daemon(*jobs)
    with daemon.running():
        _at(scene, daemon, BEGIN + 2 * HOUR)
        until(ready.exists)
        _at(scene, daemon, BEGIN + 2 * HOUR + timedelta(minutes=1))
        until(lambda: _waits(scene) == 1)
    assert [event.job for event in scene.events] == ["first"]
    with scene.daemon(jobs[1]).running():
        until(lambda: [event.job for event in scene.events] == ["first", "second"])


def test_two_schedulers_do_not_run_the_same_jobs(scene: Scene) -> None:
    """The second one is told which process has them, and starts none."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER], stdin=-1, stdout=-1, env={**os.environ}, cwd=Path(__file__).parents[2]
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"holding\n"
    try:
        with (
            pytest.raises(SchedulerRuns, match=rf"process {holder.pid} \(drkit schedule run"),
            scene.daemon(scene.noting("* * * * *")).running(),
        ):
            pytest.fail("two ran")
    finally:
        holder.communicate(b"", timeout=20)
    with scene.daemon(scene.noting()).running():
        pass


_HOLDER = """
import sys
from drkit import state
from drkit.schedule.store import lock_name
with state.exclusive(lock_name("shop"), "drkit schedule run", 0, RuntimeError, print):
    print("holding", flush=True)
    sys.stdin.read()
"""


def test_a_disk_that_is_full_does_not_stop_jobs(scene: Scene) -> None:
    """A record that cannot be written is complained of, and remembered as long as the scheduler lives."""
    daemon = scene.daemon(scene.noting())
    (scene.path / "state/drkit/schedule").write_text("in the way")
    with daemon.running():
        _at(scene, daemon, BEGIN + 2 * HOUR)
        _settle(scene, daemon, 1)
        _at(scene, daemon, BEGIN + 26 * HOUR)
        _settle(scene, daemon, 2)
    assert any("the record cannot be kept" in message for _, message, _ in scene.log.lines)


def test_a_record_that_cannot_be_read_is_a_new_one(scene: Scene) -> None:
    """A file that a crash has spoilt stops nothing."""
    daemon = scene.daemon(scene.noting())
    with daemon.running():
        _at(scene, daemon, BEGIN + 2 * HOUR)
        _settle(scene, daemon, 1)
    (scene.path / "state/drkit/schedule/shop/runs.json").write_text("{")
    daemon = scene.daemon(scene.noting())
    with daemon.running():
        _at(scene, daemon, BEGIN + 26 * HOUR)
        _settle(scene, daemon, 2)
    assert any("cannot be read" in message for _, message, _ in scene.log.lines)


RUNS, SECONDS, WARM = 1000, 60.0, 100


def test_a_thousand_runs_leave_nothing_behind(scene: Scene) -> None:
    """Memory, open files, threads and processes are after a thousand runs (or a minute of them) as after a hundred."""
    shared = replace(scene.shared(), program=("true",), listeners=())
    daemon = Daemon((job(cron="* * * * *"),), shared)
    begin, held, warm = time.monotonic(), (0, 0, 0), (0, 0, 0)
    number = 0
    with daemon.running():
        while number < RUNS and (number <= WARM or time.monotonic() < begin + SECONDS):
            number += 1
            scene.clock.passes(minutes=1)
            until(lambda: _served(daemon, shared) == scene.clock.now(), every=0.001)
            scene.log.lines.clear()
            held = _held()
            warm = held if number == WARM else warm
    memory, *rest = held
    assert all(now <= then for now, then in zip(rest, warm[1:], strict=True)), (rest, warm)
    assert memory - warm[0] < 2 * 1024 * 1024
    assert not _children("true")
    assert [file.name for file in (scene.path / "state/drkit/schedule/shop").iterdir()] == ["job.json"]


def _served(daemon: Daemon, shared: Shared) -> datetime | None:
    """Until when the job's times are taken care of; None while it runs."""
    daemon.look()
    found = shared.store.get("job")
    return None if found is None or found.running is not None else found.served


def _held() -> tuple[int, int, int]:
    """This process's own memory in bytes (proc(5), statm), its open files, its threads."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize(), len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
