"""How old backups and proofs may become before somebody should look. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

DAY = 86400.0
UNSCHEDULED_SECONDS = 26 * 3600.0
"""For sources of a vault without a schedule: a day and two hours, as for drills (``drills.backup_limit``)."""
PROOF_SECONDS = 8 * DAY
"""Between two deep verifications, where no schedule says: a week and a day."""
LATE_SECONDS = 1800.0
"""A run that did not begin so long after it was due does not come."""
_MORE_SECONDS = 3600.0
_MORE_PART = 0.1
_FEWEST_RUNS = 13
_WEEK = timedelta(days=8)
_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)
"""Where looking at a schedule begins: the same answer whenever it is asked."""


def every(schedule: str) -> float | None:
    """The longest time between two runs of a cron expression in seconds; None where it is none, or never runs.

    Looked at are all runs of eight days, so that a weekend counts, and at least a year's monthly ones.
    """
    longest, before = None, _ANY_DAY
    try:
        for number, run in enumerate(CronSim(schedule, _ANY_DAY)):
            if number:  # the first one only begins a time between two
                longest = max(longest or 0.0, (run - before).total_seconds())
            if number >= _FEWEST_RUNS and run - _ANY_DAY > _WEEK:
                break
            before = run
    except CronSimError:
        return None
    return longest


def allowed(between: float | None, otherwise: float) -> float:
    """How old the newest result may be: the time between two runs and a tenth of it, at least an hour, for the run."""
    return otherwise if between is None else between + max(_MORE_SECONDS, _MORE_PART * between)
