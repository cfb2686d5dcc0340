"""How long a plan is likely to take, by what earlier restores took here. Pure; ``remembered`` reads them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from drkit.errors import PreflightFailed
from drkit.restore.engine import journal, report
from drkit.restore.engine import plan as plans
from drkit.restore.engine.critical import Path, path
from drkit.restore.engine.turns import lasting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from drkit.restore.engine.action import Group
    from drkit.restore.engine.journal import History
    from drkit.restore.engine.plan import Step

_NEAREST = 5
"""Of so many earlier runs the median is taken: those of the most similar size, the newest of them first."""
_SMALL = 16_000_000
"""Bytes below which the size hardly matters: what takes the time is there for any size."""
_JOURNALS = 20


@dataclass(frozen=True)
class Sample:
    """One earlier run of a step: its size in bytes (0 where it has none), and how long it took."""

    action: str
    size: int
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """Seconds for each step that was ever run before, and for all of them; the others count as nothing."""

    steps: Mapping[str, float]
    seconds: float
    path: Path
    """The chain that takes longest."""
    unknown: tuple[str, ...]
    """Actions that were never run on this machine."""

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "seconds": self.seconds,
            "critical_path": list(self.path.steps),
            "steps": dict(self.steps),
            "never_run": list(self.unknown),
        }


def of(steps: Sequence[Step], samples: Sequence[Sample], groups: Mapping[str, Group]) -> Estimate:
    """The estimate of a plan.

    Args:
        steps: the plan's.
        samples: of earlier restores, the newest first.
        groups: of the actions that share a bound, by name.
    """
    found = {step.id: seconds for step in steps if (seconds := _step(step, samples)) is not None}
    unknown = dict.fromkeys(step.action for step in steps if step.id not in found)
    return Estimate(found, lasting(steps, found, groups), path(steps, found), tuple(unknown))


def _step(step: Step, samples: Iterable[Sample]) -> float | None:
    size = _effective(step.details.get("size", 0))
    alike = sorted(
        (sample for sample in samples if sample.action == step.action),
        key=lambda sample: abs(math.log(_effective(sample.size) / size)),
    )[:_NEAREST]
    if not alike:
        return None
    return round(median(sample.seconds * size / _effective(sample.size) for sample in alike), 3)


def _effective(size: int) -> int:
    return max(size, _SMALL)


def samples(histories: Iterable[History]) -> list[Sample]:
    """What earlier restores tell; steps that were cut short, and done in more than one piece, tell nothing."""
    found = []
    for history in histories:
        try:
            made = plans.from_json(history.plan)
        except PreflightFailed:
            continue
        if not history.attempts:
            continue
        told = report.of(made, history, "")
        pieces = {run.id for run in told.cut_short}
        sizes = {step.id: int(step.details.get("size", 0)) for step in made.steps}
        found += [Sample(run.action, sizes[run.id], run.seconds) for run in told.steps if run.id not in pieces]
    return found


def remembered() -> list[Sample]:
    """Samples of the newest restores that this machine did, to whatever target."""
    histories = (journal.read(each) for each in journal.recent(_JOURNALS))
    return samples(history for history in histories if history is not None)
