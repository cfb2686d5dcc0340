"""The time, as a port: everything that asks for it takes a ``Clock``, so that tests own the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the rest of drkit knows of time."""

    def now(self) -> datetime:
        """Wall-clock time in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Wall-clock time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back."""
        return time.monotonic()


def to_text(moment: datetime) -> str:
    """``moment`` as RFC 3339 in UTC with whole seconds, as descriptors and JSON output hold it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_text(text: str) -> datetime:
    """The inverse of ``to_text``; a time without a zone is taken as UTC.

    Raises:
        ValueError: ``text`` is no ISO 8601 time.
    """
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
