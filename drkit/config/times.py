"""Times as people write them: how long something is (``26h``), when something may be (``01:00-05:00 Europe/Berlin``).

The same lengths are understood in ``drkit.yaml``, in scenarios and in the settings of clusters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator

if TYPE_CHECKING:
    from datetime import datetime

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,9})?"
_PART = re.compile(rf"({_NUMBER}) ?({'|'.join(_UNITS)})")
LENGTH = rf"{_NUMBER}|(?:{_NUMBER} ?(?:{'|'.join(_UNITS)}))+"
"""What matches a length as text, wholly."""
_LONGEST = 366 * 86400.0
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d) ?[-–] ?([01]\d|2[0-4]):([0-5]\d)(?: +(\S{1,64}))?")
_MINUTES_OF_A_DAY = 24 * 60


@dataclass(frozen=True)
class Hours:
    """A part of each day, over midnight where it ends before it begins.

    Attributes:
        begin: minutes after midnight; the first one of it.
        end: likewise; the first one after it.
        zone: whose midnight that is, such as ``Europe/Berlin``.
    """

    begin: int
    end: int
    zone: str = "UTC"

    def contain(self, moment: datetime) -> bool:
        """Whether a moment, which has a time zone, is in it."""
        there = moment.astimezone(_zone(self.zone))
        minute = there.hour * 60 + there.minute
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end

    def __str__(self) -> str:
        return f"{_clock(self.begin)}-{_clock(self.end)} {self.zone}"


def hours(value: Any) -> Hours:
    """The part of a day that a text such as ``01:00-05:00`` or ``22:00-04:00 Europe/Berlin`` names; UTC by default.

    Raises:
        ValueError: it names none.
    """
    if isinstance(value, Hours):
        return value
    match = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected hours of a day, such as 01:00-05:00 or 01:00-05:00 Europe/Berlin")
    begin, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if end > _MINUTES_OF_A_DAY or begin == end:
        raise ValueError("expected hours of a day that begin and end at different times, up to 24:00")
    zone = match[5] or "UTC"
    try:
        _zone(zone)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"expected a time zone such as Europe/Berlin; {zone} is not known on this machine") from None
    return Hours(begin, end, zone)


def length(value: Any) -> float | None:
    """How many seconds a number stands for, or a text such as ``15``, ``200ms``, ``1m30s``, ``7d``; None: for none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str) or re.fullmatch(LENGTH, value) is None:
        return None
    parts = _PART.findall(value)
    found = sum(float(amount) * _UNITS[unit] for amount, unit in parts) if parts else float(value)
    # 0.3, as somebody wrote it, and not what 300 times a thousandth comes to.
    return round(found, 6)


def seconds(value: Any) -> float:
    """How many seconds a number, or a text such as ``90m``, ``26h`` or ``7d``, stands for.

    Raises:
        ValueError: it is neither, or not between 0 and a year.
    """
    found = length(value)
    if found is None or not 0 <= found <= _LONGEST:
        raise ValueError("expected a time up to a year, in seconds or such as 90m, 26h, 7d")
    return found


def _zone(name: str) -> tzinfo:
    # UTC is known where a machine has no list of time zones as well.
    return UTC if name == "UTC" else ZoneInfo(name)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


Seconds = Annotated[float, BeforeValidator(seconds)]
DayHours = Annotated[Hours, BeforeValidator(hours)]
