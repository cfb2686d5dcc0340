"""What is known of a job between its runs, as it is kept on disk, and how it goes on. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel, ConfigDict

from drkit.schedule.events import Health, Outcome, health
from drkit.schedule.timing import Due, Times, after, believable, due

if TYPE_CHECKING:
    from drkit.schedule.jobs import Job

PASSING = frozenset({10, 11})
"""Exit codes of what passes by itself: a vault that does not answer, or is locked."""
_FIRST_RETRY = timedelta(minutes=10)
_LAST_RETRY = timedelta(hours=1)
_MOST_CUT_SHORT = 2
"""A run that the machine died with this often waits for its next time: it may be what kills the machine."""
LATE = timedelta(minutes=5)
"""What begins later than this after its time was missed, and somebody is told."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Run(_Kept):
    """A run that was begun."""

    due: AwareDatetime
    started: AwareDatetime


class Ended(Run):
    """A run that ended; ``seconds`` are those of a clock that nobody sets."""

    ended: AwareDatetime
    seconds: float
    outcome: Outcome
    exit_code: int | None
    summary: str


class Record(_Kept):
    """One job's; see ``timing`` for ``served``."""

    cron: str
    zone: str
    served: AwareDatetime
    retry_at: AwareDatetime | None = None
    health: Health = Health.UNKNOWN
    failures: int = 0
    cut_short: int = 0
    running: Run | None = None
    last: Ended | None = None
    last_success: AwareDatetime | None = None


def new(times: Times, now: datetime) -> Record:
    """Of a job that was never heard of: it is first due at its next time."""
    return Record(cron=times.cron, zone=times.zone, served=now)


def settled(record: Record, times: Times, now: datetime) -> Record:
    """``record`` by the schedule and the clock of now: of both, what was before says nothing any more.

    A schedule that was changed begins anew; what a clock said that has since been set back by hours was wrong.
    """
    if (record.cron, record.zone) != (times.cron, times.zone):
        return record.model_copy(update={"cron": times.cron, "zone": times.zone, "served": now, "retry_at": None})
    changes: dict[str, datetime] = {}
    if (served := believable(record.served, now)) != record.served:
        changes["served"] = served
    if record.retry_at is not None and record.retry_at - now > _LAST_RETRY:
        changes["retry_at"] = now + _LAST_RETRY
    return record.model_copy(update=changes) if changes else record


def wanted(record: Record, now: datetime) -> Due | None:
    """The run that should be now, if there is one."""
    found = due(_times(record), record.served, now)
    if found is None and record.retry_at is not None and record.retry_at <= now and record.last is not None:
        return Due(record.last.due, 0)
    return found


def upcoming(record: Record) -> datetime:
    """When it begins next; in the past where it is due. While it runs, when it comes after that."""
    if record.running is not None:
        return after(_times(record), max(record.served, record.running.due))
    following = after(_times(record), record.served)
    return following if record.retry_at is None else min(following, record.retry_at)


def missed(record: Record, found: Due, now: datetime) -> bool:
    """Whether a run is late enough to tell somebody, and has not been begun before."""
    begun = record.last is not None and record.last.due == found.at
    return not begun and now - found.at > LATE


def begun(record: Record, found: Due, now: datetime) -> Record:
    """A run begins."""
    return record.model_copy(update={"running": Run(due=found.at, started=now)})


def ended(record: Record, job: Job, ending: Ended) -> Record:
    """A run ended. One that was interrupted stays due: the scheduler that comes next begins with it."""
    left = record.model_copy(update={"running": None, "last": ending, "health": health(ending.outcome, record.health)})
    if ending.outcome is Outcome.INTERRUPTED:
        return left
    served = max(record.served, ending.due)
    if ending.outcome is Outcome.DONE:
        settled = {"failures": 0, "retry_at": None, "cut_short": 0, "last_success": ending.ended}
        return left.model_copy(update={"served": served, **settled})
    failures = record.failures + 1
    if ending.outcome is Outcome.CUT_SHORT and record.cut_short + 1 < _MOST_CUT_SHORT:
        return left.model_copy(update={"failures": failures, "cut_short": record.cut_short + 1})
    retry = None
    if ending.exit_code in PASSING and job.tried_again:
        retry = ending.ended + min(_FIRST_RETRY * 2 ** min(failures - 1, 8), _LAST_RETRY)
    return left.model_copy(update={"served": served, "failures": failures, "cut_short": 0, "retry_at": retry})


def died(run: Run, now: datetime) -> Ended:
    """How a run ended that a scheduler finds on disk when it starts: with the scheduler before."""
    seconds = max(0.0, (now - run.started).total_seconds())
    return Ended(
        due=run.due,
        started=run.started,
        ended=now,
        seconds=seconds,
        outcome=Outcome.CUT_SHORT,
        exit_code=None,
        summary="the scheduler, or the machine, died while it ran",
    )


def _times(record: Record) -> Times:
    return Times(record.cron, record.zone)
