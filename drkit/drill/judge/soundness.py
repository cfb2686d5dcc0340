"""Whether a run can be judged at all: its end, its steady state, its faults, and the prober itself. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from drkit.drill.judge.finding import count, invalid, length, note
from drkit.drill.judge.outages import LATE_SECONDS
from drkit.drill.judge.series import percentile
from drkit.drill.record import BEFORE, DONE
from drkit.drill.values import CONTROL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.drill.judge.collected import Collected, Question
    from drkit.drill.judge.faults import Faults
    from drkit.drill.judge.finding import Finding
    from drkit.drill.judge.series import Wanted
    from drkit.drill.record import Steady
    from drkit.drill.values import Drill

_HALF_A_CORE = 0.5
_STOPPING_SECONDS = 1.0
"""How long a prober may take to stop all its probes."""


def of_run(drill: Drill, collected: Collected, faults: Faults) -> Iterator[Finding]:
    """What makes the whole run invalid."""
    end = collected.end
    if end is None:
        yield invalid("the record was cut short: it has no end")
    elif end.how != DONE:
        yield invalid(f"the drill was {end.how}{f': {end.said}' if end.said else ''}")
    yield from (invalid(each) for each in faults.unconfirmed)
    if not drill.injections:
        yield invalid("the drill has no fault")
    steady = _before(collected.steady, faults)
    if steady is not None and not steady.holds:
        yield invalid(f"the steady state did not hold before the fault{f': {steady.said}' if steady.said else ''}")
    if collected.used:
        used = collected.used[-1]
        share = used.cpu_seconds / used.wall_seconds if used.wall_seconds > 0 else 0.0
        if share > _HALF_A_CORE:
            yield note(f"the prober used {share:.2f} of a core, more than the half that it may")


@dataclass(frozen=True)
class Shown:
    """What the questions of all series are held against.

    Attributes:
        steady_since: since when nothing may fail before the fault.
        sent: when the first fault was sent.
        undone: when the last one was undone.
        stopped: when the newest question of all series was due.
        ended: the record's end.
    """

    steady_since: float
    sent: float | None
    undone: float | None
    stopped: float
    ended: float


def shown(drill: Drill, collected: Collected, faults: Faults, ended: float) -> Shown:
    """See ``Shown``. Failures before the time that an entry vouches for were those of probes that had just begun."""
    steady = _before(collected.steady, faults)
    since = float("-inf") if steady is None else steady.at - drill.steady_seconds
    stopped = max((each.newest for each in collected.questions.values()), default=0.0)
    return Shown(since, faults.first, faults.undone, stopped, ended)


def of_series(which: Wanted, questions: Sequence[Question], why: str, against: Shown) -> Iterator[Finding]:
    """What makes a series worthless.

    Args:
        which: the series.
        questions: in the order in which they were due.
        why: what the first one that failed said.
        against: what else is known.
    """
    if not questions:
        yield invalid(f"{which.name} was never asked")
        return
    yield from _gaps(which, questions, against)
    if which.probe.kind == CONTROL:
        failed = sum(not each.ok for each in questions)
        if failed:
            said = f"{failed} of {len(questions)} times{f' ({why})' if why else ''}"
            yield invalid(f"the control probe failed {said}: this machine was in trouble itself")
    elif which.judged:
        yield from _before_the_fault(which, questions, against)
        yield from _resolution(which)
    if which.judged or which.probe.kind == CONTROL:
        yield from _lateness(which, questions)


def _before(steady: Sequence[Steady], faults: Faults) -> Steady | None:
    """The last word about the steady state before the first fault."""
    sent = faults.first
    return next(
        (each for each in reversed(steady) if each.when == BEFORE and (sent is None or each.at <= sent)),
        None,
    )


def _before_the_fault(which: Wanted, questions: Sequence[Question], against: Shown) -> Iterator[Finding]:
    if against.sent is None:
        return
    before = [each for each in questions if each.at <= against.sent]
    if not before:
        yield invalid(f"{which.name} was not asked before the fault: its steady state is not known")
    failed = [each for each in before if not each.ok]
    wrong = [each for each in failed if each.due >= against.steady_since]
    if wrong:
        yield invalid(
            f"the steady state did not hold: {which.name} failed {count(len(wrong), 'time')} before the fault,"
            f" last {length(against.sent - wrong[-1].due)} before it"
        )
    elif failed:
        yield note(f"{which.name} failed {count(len(failed), 'time')} before its steady state had begun")


def _resolution(which: Wanted) -> Iterator[Finding]:
    window, every = which.probe.window, which.probe.every
    if window and window < every:
        yield invalid(
            f"{which.name}: a window of {length(window)} cannot be told by questions that leave every {length(every)}"
        )


def _lateness(which: Wanted, questions: Sequence[Question]) -> Iterator[Finding]:
    late = sorted(each.late for each in questions)
    usual, worst = percentile(late, 0.99), late[-1]
    if usual >= LATE_SECONDS:
        yield invalid(
            f"the prober was late: 1 % of the questions of {which.name} left {1000 * usual:.1f} ms late or more,"
            f" {1000 * LATE_SECONDS:.0f} ms is too much"
        )
    elif worst > max(which.probe.window or 0.0, which.probe.every) and which.judged:
        # What left so late says nothing of when it was due: an outage of that length would not have been seen.
        yield invalid(f"the prober starved: a question of {which.name} left {length(worst)} late, more than its window")
    elif worst > which.probe.every:
        yield note(f"a question of {which.name} left {length(worst)} late: an outage that short could hide behind it")


def _gaps(which: Wanted, questions: Sequence[Question], against: Shown) -> Iterator[Finding]:
    """Questions that were due and never left, or never came back; and those that came back twice."""
    missing, example, twice = 0, 0, 0
    every, timeout = which.probe.every, which.probe.timeout
    ordered = sorted(questions, key=lambda each: each.number)
    for one, other in pairwise(ordered):
        absent = other.number - one.number - 1
        if absent < 0:
            twice += 1
        elif absent:
            # Those that were still on their way when the record ends are not missing.
            known = int((against.ended - timeout - one.due) / every)
            gone = max(0, min(absent, known))
            if gone and not missing:
                example = one.number + 1
            missing += gone
    if missing:
        yield invalid(
            f"the prober starved: {count(missing, 'question')} of {which.name} never left, number {example} first"
        )
    if twice:
        yield invalid(f"{count(twice, 'question')} of {which.name} came back twice: the record is damaged")
    newest = questions[-1].due
    slack = every + timeout
    if against.undone is not None and newest < against.undone - slack:
        yield invalid(
            f"{which.name} was last asked {length(against.undone - newest)} before the fault was undone:"
            " what came later is not known"
        )
    elif newest < against.stopped - slack - _STOPPING_SECONDS:
        yield invalid(f"{which.name} was last asked {length(against.stopped - newest)} before the other probes stopped")
