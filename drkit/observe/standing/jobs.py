"""Where the schedule's jobs stand, from the scheduler's own records on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit import state
from drkit.clock import to_text
from drkit.observe.log import TextLog
from drkit.observe.standing import limits
from drkit.observe.standing.known import JobSeen
from drkit.schedule import record as records
from drkit.schedule.events import Health
from drkit.schedule.jobs import jobs
from drkit.schedule.store import Store, lock_name

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from drkit.config.model import Config
    from drkit.schedule.jobs import Job
    from drkit.schedule.record import Record


def seen(config: Config, file: Path, now: datetime) -> tuple[JobSeen, ...]:
    """The jobs that a scheduler on this machine knows; none where none ever ran here.

    Args:
        config: what was read from ``file``.
        file: the configuration.
        now: the time.
    """
    cluster = config.cluster.name
    wanted = jobs(config, file)
    known = Store(cluster, TextLog()).all(job.name for job in wanted)
    runs = state.holder(lock_name(cluster)) is not None
    return tuple(_seen(job, known[job.name], now, runs=runs) for job in wanted if job.name in known)


def _seen(job: Job, found: Record, now: datetime, *, runs: bool) -> JobSeen:
    # A scheduler that runs lets jobs wait for a vault that another one uses: due in the past is late without one alone.
    due = max(records.upcoming(found), now) if runs else records.upcoming(found)
    last = found.last
    return JobSeen(
        job.name,
        job.kind,
        failing=found.health is Health.FAILING,
        exit_code=None if last is None else last.exit_code,
        began=None if last is None else to_text(last.started),
        ended=None if last is None else to_text(last.ended),
        succeeded=None if found.last_success is None else to_text(found.last_success),
        due=to_text(due),
        every=limits.every(job.times.cron),
        summary="" if last is None else last.summary,
    )
