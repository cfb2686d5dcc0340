"""When a job is due. Pure.

Times of a cron line are those of a clock on the wall, by the rules of Debian's cron (cron(8)). At daylight saving a job
of a certain hour comes once in any case: right after the gap where its time is left out, the first time where its time
comes twice. One whose minute or hour begins with ``*`` goes by the time that passes.

``served`` is the latest due time that was taken care of. It makes a run come once: however often the machine was off or
the clock was set, due is what lies between it and now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cronsim import CronSim

from drkit.config.cron import zone_of

if TYPE_CHECKING:
    from collections.abc import Iterator

CORRECTION = timedelta(hours=3)
"""A clock that was set back by more was wrong before, and nothing waits until it gets there again (as cron(8))."""
_COUNTED = timedelta(days=7)
"""How far back missed runs are counted one by one; what was due every minute and off for a year takes no time."""


@dataclass(frozen=True)
class Times:
    """A schedule: when, and on whose clock."""

    cron: str
    zone: str = "UTC"


@dataclass(frozen=True)
class Due:
    """A run that should be.

    Attributes:
        at: since when; the latest time, where there are several.
        times: how many due times it serves; 0 where a failed one is tried again.
    """

    at: datetime
    times: int


def after(times: Times, moment: datetime) -> datetime:
    """The first due time after ``moment``, in UTC."""
    return next(_all_after(times, moment))


def due(times: Times, served: datetime, now: datetime) -> Due | None:
    """What is due: nothing, or one run for all due times since ``served``."""
    beginning = max(served, now - _COUNTED)
    found = _between(times, beginning, now)
    if not found and beginning != served:
        found = _between(times, served, now)  # one that comes seldom: there are few to go through
    return Due(found[-1], len(found)) if found else None


def believable(served: datetime, now: datetime) -> datetime:
    """``served``, or now where the clock that said it has been put right since."""
    return now if served - now > CORRECTION else served


def _between(times: Times, begin: datetime, end: datetime) -> list[datetime]:
    found = []
    for each in _all_after(times, begin):
        if each > end:
            break
        found.append(each)
    return found


def _all_after(times: Times, moment: datetime) -> Iterator[datetime]:
    last = moment.astimezone(UTC)
    for each in CronSim(times.cron, moment.astimezone(zone_of(times.zone))):
        # The second time that an hour comes, it counts from the hour's first time on.
        found = each.astimezone(UTC)
        if found > last:
            last = found
            yield found
