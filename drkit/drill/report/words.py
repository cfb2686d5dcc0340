"""What all reports of drills say in the same words: lengths, moments, and the verdict in one line. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from drkit.drill.verdict import EXCEEDED, INVALID, KEPT, LOST
from drkit.observe.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from drkit.drill.verdict import FaultSeen, Happened, Ledger, Outage, Series, Verdict

NOTHING = "–"
"""What stands where there is no figure."""
OUTCOMES = (KEPT, EXCEEDED, INVALID, LOST)
"""From best to worst, as within one verdict: lost writes were seen, whatever else was."""
_FINE = 0.095
_NAMED = 5


def about(seconds: float, error: float) -> str:
    """A length, and how far off it may be: ``14.2 ± 0.2 s``."""
    digits = 1 if error >= _FINE or not error else 2
    return f"{seconds:.{digits}f} ± {error:.{digits}f} s"


def length(outage: Outage | None) -> str:
    """Of an outage; of none as well."""
    if outage is None:
        return "no outage"
    return f"{about(outage.seconds, outage.error)}{_not_over(outage)}"


def of_window(series: Series, outage: Outage) -> str:
    """Of an outage, beside what it was allowed to be: ``14.2 ± 0.2 s of 15 s``."""
    allowed = "" if series.window is None else f" of {window(series.window)}"
    return f"{about(outage.seconds, outage.error)}{allowed}{_not_over(outage)}"


def _not_over(outage: Outage) -> str:
    return "" if outage.first_success is not None else ", not over"


def longest(series: Series) -> Outage | None:
    """Its longest outage, the first of equal ones."""
    return max(series.outages, key=lambda each: each.seconds, default=None)


def window(seconds: float | None) -> str:
    """``15 s``, ``2.5 s``."""
    return NOTHING if seconds is None else f"{seconds:g} s"


def by_how_much(series: Series) -> str:
    """How its window was kept or exceeded."""
    if series.beyond is None:
        return "not judged"
    if series.beyond > 0 and series.window is not None and series.longest <= series.window:
        return "not over at the end"
    return f"exceeded by {series.beyond:.1f} s" if series.beyond > 0 else f"kept by {-series.beyond:.1f} s"


def latency(series: Series, seconds: float) -> str:
    """Of a series' successes: ``31 ms``, ``1.2 s``."""
    if series.sent <= series.failed + series.unknown or math.isnan(seconds):
        return NOTHING
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def failures(series: Series) -> str:
    """``71 of 1500``, and of writes how many may have been done."""
    return f"{series.failed} of {series.sent}" + (f", {series.unknown} unknown" if series.unknown else "")


def predicted(series: Series) -> str:
    """What the settings made us expect."""
    return NOTHING if series.predicted is None else about(series.predicted, series.predicted_error or 0.0)


def name(series: Series) -> str:
    """Its probe, and whether it is the long-lived connection that was asked."""
    return f"{series.probe} (session)" if series.session else series.probe


def zero(faults: Iterable[FaultSeen]) -> float:
    """When the clock of a report stands at 0, in seconds since the record's begin: when the first fault was sent."""
    return min((each.sent for each in faults if each.sent is not None), default=0.0)


def moment(at: float | None, origin: float) -> str:
    """A moment on that clock: ``+14.2 s``, ``−30.0 s``."""
    if at is None:
        return NOTHING
    seconds = round(at - origin, 1)
    return f"{'−' if seconds < 0 else '+'}{abs(seconds):.1f} s"


def happened(each: Happened) -> str:
    """``main-db-2 promoted 17.9 s after the fault``."""
    return f"{each.who} {each.what} {each.after:.1f} s after the fault"


def rows(numbers: Sequence[int]) -> str:
    """Numbers of rows as ranges, the first few of them: ``12, 40–44 and 3 more``."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    named = [str(first) if first == last else f"{first}–{last}" for first, last in ranges[:_NAMED]]
    left = sum(last - first + 1 for first, last in ranges[_NAMED:])
    return ", ".join(named) + (f" and {left} more" if left else "")


def ledger(seen: Ledger) -> list[str]:
    """What became of the writes, a clause each."""
    done = f" ({seen.unknown_done} of them done)" if seen.unknown else ""
    said = [f"{seen.acknowledged} acknowledged, {seen.failed} failed, {seen.unknown} unknown{done}"]
    said.append(f"{len(seen.lost)} lost: rows {rows(seen.lost)}" if seen.lost else "none lost")
    said += [f"{instance} lacks {count}" for instance, count in seen.missing if count]
    said += [f"{len(seen.duplicated)} there more than once: rows {rows(seen.duplicated)}"] if seen.duplicated else []
    said += [f"{seen.strangers} that nobody tried to write"] if seen.strangers else []
    said += [seen.two_primaries] if seen.two_primaries else []
    return [*said, *(f"{instance} could not be asked" for instance in seen.unchecked)]


def verdict(made: Verdict) -> str:
    """The verdict in one line that says it all. What came from the cluster in it can be shown."""
    return printable(f"{made.outcome}: {_OF[made.outcome](made)}")


def _kept(made: Verdict) -> str:
    judged = [each for each in made.series if each.beyond is not None]
    if not judged:
        return "nothing was judged by a window"
    closest = max(judged, key=lambda each: each.beyond or 0.0)
    outage = longest(closest)
    said = "no outage" if outage is None else f"closest {name(closest)}, out for {of_window(closest, outage)}"
    return "; ".join((f"every window, {said}", *_writes(made.ledgers)))


def _writes(ledgers: Sequence[Ledger]) -> list[str]:
    if not ledgers or any(each.unchecked for each in ledgers):
        return []
    lost = sum(len(each.lost) for each in ledgers)
    return [f"{lost or 'none'} of {sum(each.acknowledged for each in ledgers)} acknowledged writes lost"]


def _exceeded(made: Verdict) -> str:
    worst = sorted((each for each in made.series if (each.beyond or 0.0) > 0), key=lambda each: -(each.beyond or 0.0))
    if not worst:
        return _reasons(made)
    first = worst[0]
    said = f"{name(first)} was out for {length(longest(first))}"
    if first.window is not None and first.longest > first.window:
        said += f", {first.beyond:.1f} s more than its window of {window(first.window)}"
    others = ", ".join(f"{name(each)} {by_how_much(each).removeprefix('exceeded ')}" for each in worst[1:])
    return "; ".join((said, *([f"also {others}"] if others else []), *_writes(made.ledgers)))


def _lost(made: Verdict) -> str:
    said = [
        f"{len(each.lost)} of {each.acknowledged} acknowledged writes of {each.probe} (rows {rows(each.lost)})"
        for each in made.ledgers
        if each.lost
    ]
    return "; ".join(said) or _reasons(made)


def _reasons(made: Verdict) -> str:
    """The first one: the worst; the others are told below."""
    if not made.reasons:
        return "no reason was given"
    more = len(made.reasons) - 1
    others = f", and {more} more reason{'s' * (more > 1)}" if more else ""
    return f"{made.reasons[0].rstrip('.')}{others}"


_OF = {KEPT: _kept, EXCEEDED: _exceeded, LOST: _lost, INVALID: _reasons}
