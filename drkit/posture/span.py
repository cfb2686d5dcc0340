"""A time that is known within bounds. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """Seconds, at least ``low`` and at most ``high``."""

    low: float
    high: float

    def __add__(self, other: Span) -> Span:
        """One after the other."""
        return Span(self.low + other.low, self.high + other.high)

    def __or__(self, other: Span) -> Span:
        """One of the two, and nobody knows which."""
        return Span(min(self.low, other.low), max(self.high, other.high))

    @property
    def middle(self) -> float:
        """Half way between."""
        return (self.low + self.high) / 2

    @property
    def error(self) -> float:
        """How far off the middle may be, to either side."""
        return (self.high - self.low) / 2


NOTHING = Span(0.0, 0.0)


def longer(one: Span, other: Span) -> Span:
    """What lasts until both are over."""
    return Span(max(one.low, other.low), max(one.high, other.high))


def shorter(one: Span, other: Span) -> Span:
    """What lasts until the first of the two is over."""
    return Span(min(one.low, other.low), min(one.high, other.high))
