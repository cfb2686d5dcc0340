"""Where a moment is in a picture of what took time: stretches to scale, the gaps between them cut short. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP_WIDTH = 64.0
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
_TICK_WIDTH = 72.0
"""The least between two ticks, so that what is written at them does not meet."""


class Stretch(Protocol):
    """A time that is drawn to scale, in seconds on the picture's own clock."""

    @property
    def began(self) -> float:
        """When it began."""
        ...

    @property
    def seconds(self) -> float:
        """How long it was."""
        ...


@dataclass(frozen=True)
class Gap:
    """Time between two stretches: from where to where it is drawn, and how long it was in seconds."""

    left: float
    right: float
    seconds: float


class Axis:
    """Seconds, in pixels.

    Args:
        stretches: what is drawn, in order.
        left: where the first begins.
        right: where the last ends.
    """

    def __init__(self, stretches: Sequence[Stretch], left: float, right: float) -> None:
        self._parts: list[tuple[float, float, float]] = []
        gaps = max(len(stretches) - 1, 0)
        working = sum(each.seconds for each in stretches) or 1.0
        self._scale = (right - left - gaps * GAP_WIDTH) / working
        self._left, self._right = left, right
        at = left
        for each in stretches:
            self._parts.append((each.began, each.seconds, at))
            at += each.seconds * self._scale + GAP_WIDTH

    def x(self, seconds: float) -> float:
        """Where this moment is; one in a gap is at the gap's beginning."""
        began, length, at = next((part for part in reversed(self._parts) if part[0] <= seconds), self._parts[0])
        return min(at + min(max(seconds - began, 0.0), length) * self._scale, self._right)

    @property
    def gaps(self) -> list[Gap]:
        """Between the stretches."""
        found = []
        for (began, length, at), (after, _, there) in pairwise(self._parts):
            found.append(Gap(at + length * self._scale, there, max(after - began - length, 0.0)))
        return found

    def ticks(self) -> list[tuple[float, float]]:
        """Round moments: where each is, and its seconds."""
        step = next((each for each in _STEPS if each * self._scale >= _TICK_WIDTH), _STEPS[-1])
        found: list[tuple[float, float]] = []
        for began, length, at in self._parts:
            first, last = math.ceil(began / step), math.floor((began + length) / step)
            for moment in (number * step for number in range(first, last + 1)):
                place = at + (moment - began) * self._scale
                if not found or place - found[-1][0] >= _TICK_WIDTH:
                    found.append((place, moment))
        return found
