"""Schedules as cron has them, in the part that Debian's cron and Kubernetes' CronJobs understand alike."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator

_FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
_NAME = "[A-Za-z]{3}"
_TERM = rf"(\*|(\d{{1,2}}|{_NAME})-(\d{{1,2}}|{_NAME}))(/\d{{1,2}})?|\d{{1,2}}|{_NAME}"
_FIELD = re.compile(rf"({_TERM})(,({_TERM}))*")
_SHAPE = 'expected minute, hour, day, month and weekday as cron has them, such as "0 3 * * *"'


def cron(text: str) -> str:
    """``text``, if it is a schedule.

    What only some know is refused, so that a schedule means the same wherever it runs: seconds, ``@daily``, ``L``,
    ``#``, a step after a single number, and 7 for Sunday, which Kubernetes refuses.

    Raises:
        ValueError: it is none, or never comes.
    """
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"{_SHAPE}; found {len(fields)} fields")
    for name, field in zip(_FIELDS, fields, strict=True):
        if not _FIELD.fullmatch(field):
            raise ValueError(f"{_SHAPE}; {field} is no {name}")
    if "7" in re.sub(r"/\d+", "", fields[4]):
        raise ValueError("expected 0 to 6, or SUN to SAT, for the day of the week; Sunday is 0")
    try:
        CronSim(text, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(f"{_SHAPE}; {str(error)[:1].lower()}{str(error)[1:]}") from None
    return text


def zone_of(name: str) -> tzinfo:
    """The time zone of that name.

    Raises:
        ValueError: this machine does not know it.
    """
    try:
        # UTC is known where a machine has no list of time zones as well.
        return UTC if name == "UTC" else ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"expected a time zone such as Europe/Berlin; {name} is not known on this machine") from None


def _zone(name: str) -> str:
    zone_of(name)
    return name


Cron = Annotated[str, AfterValidator(cron)]
Zone = Annotated[str, AfterValidator(_zone)]
