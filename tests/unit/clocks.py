"""A clock that a test owns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class SetClock:
    """Stands still until it is set; ``monotonic`` goes on only with ``passes``."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment
        self.seconds = 0.0

    def now(self) -> datetime:
        """What it was set to."""
        return self.moment.astimezone(UTC)

    def monotonic(self) -> float:
        """Seconds that passed."""
        return self.seconds

    def passes(self, **time: float) -> None:
        """So much time goes by, as ``timedelta`` has it."""
        self.moment += timedelta(**time)
        self.seconds += timedelta(**time).total_seconds()

    def set(self, moment: datetime) -> None:
        """Somebody sets it; no time passes."""
        self.moment = moment
