"""The scheduler: APScheduler gives the alarms and the threads; what is due, the records say.

Two things about APScheduler 3. It waits by a clock that nobody sets, and would wake too late after the machine's clock
was set forward: so it is woken regularly. Its own reading of cron's lines counts weekdays from Monday, and leaves out
or doubles runs at daylight saving: so the times come from ``timing``.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager, suppress
from datetime import UTC
from typing import TYPE_CHECKING, Any

from apscheduler.events import EVENT_JOB_ERROR
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from drkit import state
from drkit.errors import SchedulerRuns
from drkit.observe.log import Level
from drkit.schedule import timing
from drkit.schedule.runner import Runner
from drkit.schedule.store import lock_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from drkit.schedule.jobs import Job
    from drkit.schedule.runner import Shared
    from drkit.schedule.timing import Times

LOOK_SECONDS = 15.0
"""How soon a clock that was set is noticed."""
_LOCK_SECONDS = 1.0
"""Longer than somebody takes who looks whether a scheduler runs."""


class Daemon:
    """The scheduler of one cluster's jobs."""

    def __init__(self, jobs: Sequence[Job], shared: Shared) -> None:
        self._shared = shared
        self._runners = {job.name: Runner(job, shared) for job in jobs}
        self._alarms = BackgroundScheduler(timezone=UTC, executors={"default": ThreadPoolExecutor(max(1, len(jobs)))})
        self._alarms.add_listener(self._failed, EVENT_JOB_ERROR)
        # What it would warn of is wanted: a job that is due while it runs is not started beside itself.
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the jobs for the body. At its end those that run are interrupted, and waited for.

        Raises:
            SchedulerRuns: another process runs this cluster's jobs.
        """
        cluster = self._shared.cluster
        with state.exclusive(lock_name(cluster), "drkit schedule run", _LOCK_SECONDS, _refused, lambda _: None):
            for name, runner in self._runners.items():
                runner.begin()
                self._alarms.add_job(
                    runner.fire,
                    _Trigger(runner.job.times),
                    id=name,
                    next_run_time=runner.look(),
                    misfire_grace_time=None,
                    coalesce=True,
                    max_instances=1,
                )
            looking = threading.Thread(target=self._look_regularly, name="look", daemon=True)
            try:
                self._alarms.start()
                looking.start()
                yield
            finally:
                self._shared.ending.set()
                if self._alarms.running:
                    # A signal may come while its thread is made, which then cannot be waited for.
                    with suppress(RuntimeError):
                        self._alarms.shutdown(wait=True)

    @property
    def busy(self) -> bool:
        """Whether a job runs, or waits in line."""
        return any(runner.busy for runner in self._runners.values())

    def look(self) -> None:
        """See that every alarm is set as the records and the clock of now have it."""
        for name, runner in self._runners.items():
            wanted, alarm = runner.look(), self._alarms.get_job(name)
            if wanted is not None and alarm is not None and alarm.next_run_time != wanted:
                self._alarms.modify_job(name, next_run_time=wanted)
        self._alarms.wakeup()

    def _look_regularly(self) -> None:
        while not self._shared.ending.wait(LOOK_SECONDS):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - the next look may be better, and nobody looks but this
                self._shared.log.say(Level.ERROR, f"cannot see what is due: {type(error).__name__}: {error}")

    def _failed(self, event: Any) -> None:
        error = event.exception
        self._shared.log.say(Level.ERROR, f"could not be run: {type(error).__name__}: {error}", job=event.job_id)


class _Trigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Due times for APScheduler."""

    __slots__ = ("_times",)

    def __init__(self, times: Times) -> None:
        self._times = times

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The next one after both of them: for those in between, a run is due already."""
        return timing.after(self._times, max(previous_fire_time or now, now))


def _refused(holder: str) -> SchedulerRuns:
    return SchedulerRuns(
        f"a scheduler of this cluster's jobs runs already: {holder}",
        "let that one go on, or end it first; `drkit schedule show` says what it does",
    )
