"""Whether two machines agree on the time: recovery points are ordered by it, and leases end by it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

TOLERATED_SECONDS = 2.0
"""Less than any lease or retention rule can tell."""
HINT = "let both keep time by NTP: timedatectl set-ntp true"


@dataclass(frozen=True)
class Skew:
    """How far a clock is ahead of ours, in seconds, and how wrong that can be: half of what the question took."""

    ahead: float
    error: float

    @property
    def bad(self) -> bool:
        """Whether it is certainly more than tolerated."""
        return abs(self.ahead) - self.error > TOLERATED_SECONDS

    def __str__(self) -> str:
        if not self.bad:
            return "its clock agrees with ours"
        return f"its clock is {abs(self.ahead):.1f} s {'ahead of' if self.ahead > 0 else 'behind'} ours"


def skew(before: float, theirs: str, after: float) -> Skew | None:
    """What ``date +%s.%N`` there means, asked between two times of ours; None where it printed no time.

    A ``date`` without fractions of a second (BusyBox prints the letters) is up to a second behind itself.
    """
    whole, _, fraction = theirs.strip().partition(".")
    if not whole.isdigit():
        return None
    exact = fraction.isdigit()
    told = float(f"{whole}.{fraction}") if exact else float(whole) + 0.5
    return Skew(told - (before + after) / 2, (after - before) / 2 + (0.0 if exact else 0.5))
