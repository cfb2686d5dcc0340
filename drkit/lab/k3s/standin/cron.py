"""When a schedule in cron's five fields is due next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from .problem import Fatal

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_SEARCHED = timedelta(days=366 * 4 + 1)
_SUNDAY_AGAIN = 7


@dataclass(frozen=True)
class Schedule:
    """The allowed minutes, hours, days, months and weekdays (0 is Sunday)."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool

    def matches_day(self, moment: datetime) -> bool:
        """Whether the day is one of the schedule's: with both fields restricted, either is enough, as in cron(5)."""
        weekday = moment.isoweekday() % 7
        if moment.month not in self.months:
            return False
        if self.any_day or self.any_weekday:
            return moment.day in self.days and weekday in self.weekdays
        return moment.day in self.days or weekday in self.weekdays


def parse(text: str) -> Schedule:
    """Read a schedule such as ``0 */12 * * *``.

    Raises:
        Fatal: it is none.
    """
    fields = text.split()
    if len(fields) != len(_RANGES):
        raise Fatal(f"expected exactly 5 fields in the cron schedule, found {len(fields)}: {text}")
    try:
        sets = [_numbers(field, low, high) for field, (low, high) in zip(fields, _RANGES, strict=True)]
    except ValueError:
        raise Fatal(f"failed to parse the cron schedule: {text}") from None
    weekdays = frozenset(day % _SUNDAY_AGAIN for day in sets[4])
    return Schedule(sets[0], sets[1], sets[2], sets[3], weekdays, fields[2] == "*", fields[4] == "*")


def _numbers(field: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            start, end = low, high
        else:
            start = int(first)
            end = int(last) if dash else (high if step else start)
        if not low <= start <= end <= high:
            raise ValueError(field)
        found.update(range(start, end + 1, int(step or 1)))
    return frozenset(found)


def next_after(schedule: Schedule, moment: datetime) -> datetime:
    """The first minute after ``moment`` that the schedule names.

    Raises:
        Fatal: there is none within four years.
    """
    candidate = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
    limit = candidate + _SEARCHED
    while candidate < limit:
        if not schedule.matches_day(candidate):
            candidate = (candidate + timedelta(days=1)).replace(hour=0, minute=0)
        elif candidate.hour not in schedule.hours:
            candidate = candidate.replace(minute=0) + timedelta(hours=1)
        elif candidate.minute not in schedule.minutes:
            candidate += timedelta(minutes=1)
        else:
            return candidate
    raise Fatal("the cron schedule is never due")
