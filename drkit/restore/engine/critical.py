"""The critical path: the chain of steps, each needed by the next, that takes longest. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.restore.engine.plan import ordered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drkit.restore.engine.plan import Step


@dataclass(frozen=True)
class Path:
    """The steps of the path in their order, and how long they take together in seconds."""

    steps: tuple[str, ...] = ()
    seconds: float = 0.0


def path(steps: Sequence[Step], seconds: Mapping[str, float]) -> Path:
    """The critical path: no restore of this plan is over sooner, however many steps run side by side.

    Args:
        steps: a plan's.
        seconds: how long each takes; one that is not named takes no time.
    """
    ends: dict[str, float] = {}
    before: dict[str, str] = {}
    for step in ordered(steps):
        last = max(step.needs, key=lambda need: ends[need], default="")
        before[step.id] = last
        ends[step.id] = ends.get(last, 0.0) + seconds.get(step.id, 0.0)
    if not ends:
        return Path()
    here = max(ends, key=lambda step: ends[step])
    total = ends[here]
    chain = []
    while here:
        chain.append(here)
        here = before[here]
    return Path(tuple(reversed(chain)), round(total, 3))
