"""What became of one probe's questions. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.drill.record import FAILED, UNKNOWN
from drkit.drill.values import CONTROL
from drkit.drill.verdict import Series

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.drill.judge.collected import Question
    from drkit.drill.values import Drill, Probe
    from drkit.drill.verdict import Outage


@dataclass(frozen=True)
class Wanted:
    """A series that a drill has to have: of a probe, over new connections or over its long-lived one."""

    probe: Probe
    session: bool

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.probe.name} (session)" if self.session else self.probe.name

    @property
    def judged(self) -> bool:
        """Whether it has to keep a window. A probe's window holds for its long-lived connection as well."""
        return self.probe.window is not None and self.probe.kind != CONTROL


def wanted(drill: Drill) -> Iterator[Wanted]:
    """The series of a drill, in the order in which a verdict has them: the control probe comes last."""
    for probe in sorted(drill.probes, key=lambda each: each.kind == CONTROL):
        yield Wanted(probe, session=False)
        if probe.session:
            yield Wanted(probe, session=True)


def series(
    which: Wanted,
    questions: Sequence[Question],
    found: Sequence[Outage],
    predicted: object = None,
) -> Series:
    """One series as the verdict has it.

    Args:
        which: the series.
        questions: all its questions, in the order in which they were due.
        found: its outages.
        predicted: what the record's begin says of its probe.
    """
    probe = which.probe
    latencies = sorted(each.at - each.due for each in questions if each.ok)
    longest = max((each.seconds for each in found), default=0.0)
    seconds, error = _predicted(predicted)
    return Series(
        probe=probe.name,
        kind=probe.kind,
        where=probe.where,
        session=which.session,
        every=probe.every,
        window=probe.window,
        sent=len(questions),
        failed=sum(each.outcome == FAILED for each in questions),
        unknown=sum(each.outcome == UNKNOWN for each in questions),
        outages=tuple(found),
        longest=longest,
        beyond=_beyond(probe, longest, found) if which.judged else None,
        lateness_p99=percentile(sorted(each.late for each in questions), 0.99),
        latency_p50=percentile(latencies, 0.5),
        latency_p99=percentile(latencies, 0.99),
        predicted=seconds,
        predicted_error=error,
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least that share of all do not exceed (nearest rank); 0 of none."""
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 6) if ordered else 0.0


def _beyond(probe: Probe, longest: float, found: Sequence[Outage]) -> float:
    beyond = round(longest - (probe.window or 0.0), 6)
    unended = any(each.first_success is None for each in found)
    return max(beyond, probe.every) if unended else beyond


def _predicted(data: object) -> tuple[float | None, float | None]:
    if not isinstance(data, dict):
        return None, None
    seconds, error = data.get("seconds"), data.get("error")
    if not isinstance(seconds, int | float):
        return None, None
    return float(seconds), float(error) if isinstance(error, int | float) else None
