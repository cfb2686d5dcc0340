"""What ``drkit schedule show`` shows: for each job when it comes next, and how it went. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.clock import to_text
from drkit.config.cron import zone_of
from drkit.observe.text import duration, printable
from drkit.schedule import record as records
from drkit.schedule.events import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from drkit.schedule.jobs import Job
    from drkit.schedule.record import Record

HEADINGS = ("JOB", "WHEN", "NEXT", "LAST RUN", "TOOK", "HOW IT WENT", "LAST SUCCESS")


@dataclass(frozen=True)
class View:
    """All of it.

    Attributes:
        cluster: as ``drkit.yaml`` calls it.
        scheduler: who runs the jobs; None where nobody does.
        jobs: in the order of the configuration.
        records: what is known of them, by name.
        now: the time.
    """

    cluster: str
    scheduler: str | None
    jobs: Sequence[Job]
    records: Mapping[str, Record]
    now: datetime

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "cluster": self.cluster,
            "scheduler": {"running": self.scheduler is not None, "holder": self.scheduler},
            "jobs": [self._json(job) for job in self.jobs],
        }

    def rows(self) -> list[list[str]]:
        """For people, below ``HEADINGS``."""
        return [self._row(job) for job in self.jobs]

    def _record(self, job: Job) -> Record:
        found = self.records.get(job.name)
        return records.new(job.times, self.now) if found is None else records.settled(found, job.times, self.now)

    def _running(self, found: Record) -> bool:
        # Without a scheduler it is what one left that died.
        return found.running is not None and self.scheduler is not None

    def _json(self, job: Job) -> dict[str, Any]:
        found = self._record(job)
        last = found.last
        return {
            "job": job.name,
            "kind": job.kind,
            "cron": job.times.cron,
            "time_zone": job.times.zone,
            "limit_seconds": job.limit,
            "command": ["drkit", *job.arguments],
            "next": to_text(records.upcoming(found)),
            "running_since": to_text(found.running.started) if found.running and self._running(found) else None,
            "health": found.health.value,
            "consecutive_failures": found.failures,
            "last_success": None if found.last_success is None else to_text(found.last_success),
            "last": None
            if last is None
            else {
                "due": to_text(last.due),
                "started": to_text(last.started),
                "ended": to_text(last.ended),
                "seconds": last.seconds,
                "outcome": last.outcome.value,
                "exit_code": last.exit_code,
                "summary": last.summary,
            },
        }

    def _row(self, job: Job) -> list[str]:
        found = self._record(job)
        last = found.last
        following = records.upcoming(found)
        success = "never" if found.last_success is None else self._local(job, found.last_success)
        when = f"{job.times.cron} {job.times.zone}"
        upcoming = "now" if following <= self.now else self._local(job, following)
        if found.running is not None and self._running(found):
            upcoming = f"runs since {self._local(job, found.running.started)}"
        if last is None:
            return [job.name, when, upcoming, "never", "", "", success]
        times = f" ({found.failures} in a row)" if found.failures > 1 else ""
        went = last.outcome.value if last.outcome is Outcome.DONE else f"{last.outcome.value.upper()}{times}"
        said = printable(f"{went}: {last.summary}")
        return [job.name, when, upcoming, self._local(job, last.started), duration(last.seconds), said, success]

    def _local(self, job: Job, moment: datetime) -> str:
        return moment.astimezone(zone_of(job.times.zone)).strftime("%Y-%m-%d %H:%M")
