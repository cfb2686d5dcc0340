"""Which steps run when: as soon as what they need is done, and there is room for them. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from drkit.restore.engine.action import Group
    from drkit.restore.engine.plan import Step

SIDE_BY_SIDE = 16
"""Steps at a time over all: most of them wait for another machine."""


def startable(
    steps: Sequence[Step], done: Collection[str], begun: Collection[str], groups: Mapping[str, Group]
) -> list[Step]:
    """The steps that can be started now, the first of the plan first.

    Args:
        steps: the plan's.
        done: ids of those that are done.
        begun: ids of those that are running.
        groups: of the actions that share a bound, by name.
    """
    bounds = {step.id: groups[step.action] for step in steps if step.action in groups}
    busy = Counter(bounds[step].name for step in begun if step in bounds)
    room = SIDE_BY_SIDE - len(begun)
    found: list[Step] = []
    for step in steps:
        if step.id in done or step.id in begun or not set(step.needs) <= set(done):
            continue
        group = bounds.get(step.id)
        if len(found) >= room:
            break
        if group is not None:
            if busy[group.name] >= group.at_once:
                continue
            busy[group.name] += 1
        found.append(step)
    return found


def lasting(steps: Sequence[Step], seconds: Mapping[str, float], groups: Mapping[str, Group]) -> float:
    """How long all of them take, in seconds.

    Args:
        steps: a plan's.
        seconds: how long each takes; one that is not named takes no time.
        groups: see ``startable``.
    """
    done: set[str] = set()
    ends: dict[str, float] = {}
    now = 0.0
    while True:
        ends |= {step.id: now + seconds.get(step.id, 0.0) for step in startable(steps, done, ends, groups)}
        if not ends:
            return round(now, 3)
        now = min(ends.values())
        done |= {step for step, end in ends.items() if end <= now}
        ends = {step: end for step, end in ends.items() if end > now}
