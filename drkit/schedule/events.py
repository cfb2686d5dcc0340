"""What the scheduler tells those who notify: a value for each run that ended, and for runs that did not come. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from drkit.clock import to_text

if TYPE_CHECKING:
    from datetime import datetime

    from drkit.schedule.jobs import Job
    from drkit.schedule.record import Ended, Record
    from drkit.schedule.timing import Due


class Outcome(StrEnum):
    """How a run ended."""

    DONE = "done"
    """Exit code 0."""
    FAILED = "failed"
    """Any other exit code, or killed by somebody else."""
    TIMED_OUT = "timed-out"
    """It did not end within its limit, and was ended."""
    INTERRUPTED = "interrupted"
    """The scheduler was told to end; the run undid what it had begun, and comes again when the scheduler does."""
    CUT_SHORT = "cut-short"
    """The scheduler or the machine died with it."""


class Health(StrEnum):
    """Where a job stands after its last run that says anything of it; an interrupted one does not."""

    UNKNOWN = "unknown"
    OK = "ok"
    FAILING = "failing"


class Change(StrEnum):
    """What is new, for somebody who wants to hear of news alone."""

    SUCCESS = "success"
    """Well, as before."""
    FAILURE = "failure"
    """It was well, or had never run, and failed."""
    STILL_FAILING = "still-failing"
    """It had failed already."""
    RECOVERY = "recovery"
    """It had failed, and is well again."""
    MISSED = "missed"
    """Runs were due and did not come, such as while the machine was off; one run now makes up for all of them."""
    INTERRUPTED = "interrupted"
    """Told to end with the scheduler: no news of the job."""


@dataclass(frozen=True)
class Event:
    """One piece of news of one job.

    Attributes:
        cluster: as ``drkit.yaml`` calls it.
        job: its name, such as ``backup/databases``, ``verify-deep``.
        kind: ``backup``, ``verify``, ``verify-deep``, ``prune``, ``harden``, ``drills`` or ``rehearsal``.
        change: what is new.
        outcome: how the run ended; None for ``MISSED``, which comes before the run that makes up for it.
        was: where the job stood before.
        now: where it stands.
        due: when the run should have begun; the latest of those that were missed.
        started: when it began; None for ``MISSED``.
        ended: when it ended; when it was noticed, for ``MISSED``.
        exit_code: the command's, see ``drkit.errors.EXIT_CODES``; negative for a signal; None where there was none.
        summary: one line for people, without secrets.
        failures: how many runs in a row have failed, this one included.
        missed: how many runs did not come.
        last_success: when the last good run ended, this one included.
    """

    cluster: str
    job: str
    kind: str
    change: Change
    outcome: Outcome | None
    was: Health
    now: Health
    due: datetime
    started: datetime | None
    ended: datetime
    exit_code: int | None
    summary: str
    failures: int = 0
    missed: int = 0
    last_success: datetime | None = None

    @property
    def bad(self) -> bool:
        """Whether somebody should look."""
        return self.change in (Change.FAILURE, Change.STILL_FAILING, Change.MISSED)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON; times as in descriptors."""
        times = {name: getattr(self, name) for name in ("due", "started", "ended", "last_success")}
        return {**asdict(self), **{name: None if time is None else to_text(time) for name, time in times.items()}}


class Listener(Protocol):
    """Who is told. Called in the job's own thread after its result is on disk; what it raises is logged, no more.

    It sets itself a deadline: until it returns, this job (no other) does not run again.
    """

    def __call__(self, event: Event, /) -> None:
        """Take one piece of news."""
        ...


def change(outcome: Outcome, was: Health) -> Change:
    """What the end of a run means for somebody who knows how the job stood before."""
    if outcome is Outcome.INTERRUPTED:
        return Change.INTERRUPTED
    if outcome is Outcome.DONE:
        return Change.RECOVERY if was is Health.FAILING else Change.SUCCESS
    return Change.STILL_FAILING if was is Health.FAILING else Change.FAILURE


def health(outcome: Outcome, was: Health) -> Health:
    """Where the job stands after it."""
    if outcome is Outcome.INTERRUPTED:
        return was
    return Health.OK if outcome is Outcome.DONE else Health.FAILING


def finished(cluster: str, job: Job, before: Record, ending: Ended, after: Record) -> Event:
    """The news of a run that ended, from the job's records before and after it."""
    return Event(
        cluster=cluster,
        job=job.name,
        kind=job.kind,
        change=change(ending.outcome, before.health),
        outcome=ending.outcome,
        was=before.health,
        now=after.health,
        due=ending.due,
        started=ending.started,
        ended=ending.ended,
        exit_code=ending.exit_code,
        summary=ending.summary,
        failures=after.failures,
        last_success=after.last_success,
    )


def missed(cluster: str, job: Job, record: Record, found: Due, now: datetime) -> Event:
    """The news that runs did not come, from what is due now."""
    many = "a run was" if found.times == 1 else f"{found.times} runs were"
    return Event(
        cluster=cluster,
        job=job.name,
        kind=job.kind,
        change=Change.MISSED,
        outcome=None,
        was=record.health,
        now=record.health,
        due=found.at,
        started=None,
        ended=now,
        exit_code=None,
        summary=f"{many} missed, the latest due at {to_text(found.at)}; one begins now in its place",
        failures=record.failures,
        missed=found.times,
        last_success=record.last_success,
    )
