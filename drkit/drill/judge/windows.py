"""Whether a probe's window was kept. Pure.

Decided by simple acceptance (JCGM 106:2012, 8.2): a window is exceeded where what was measured is more than it. What
is closer to it than ± Δ is noted: then neither is shown by one run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.drill.judge.finding import exceeded, length, note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.drill.judge.finding import Finding
    from drkit.drill.verdict import Series


def window(name: str, judged: Series) -> Iterator[Finding]:
    """Whether a series kept its window, and where that is closer than what was measured.

    Args:
        name: the series, for people.
        judged: the series.
    """
    if judged.beyond is None or judged.window is None:
        return
    allowed = length(judged.window)
    ended = [each for each in judged.outages if each.first_success is not None]
    unended = next((each for each in judged.outages if each.first_success is None), None)
    if unended is not None:
        yield exceeded(
            f"{name} was out when the probes stopped, for {length(unended.seconds)} ± {length(unended.error)} by then;"
            f" its window is {allowed}"
        )
    over = [each for each in ended if each.seconds > judged.window]
    if over:
        worst = max(over, key=lambda each: each.seconds)
        others = f"; {len(over) - 1} more of its outages were too long" if len(over) > 1 else ""
        yield exceeded(
            f"{name} was out for {length(worst.seconds)} ± {length(worst.error)},"
            f" {length(worst.seconds - judged.window)} more than its window of {allowed}{others}"
        )
    close = [each for each in ended if judged.window and abs(each.seconds - judged.window) < each.error]
    if close:
        yield note(
            f"{name}: {length(close[0].seconds)} is closer to the window of {allowed} than ± {length(close[0].error)}:"
            " one run cannot tell, questions that leave more often can"
        )
    total = sum(each.seconds for each in judged.outages)
    if not over and unended is None and total > judged.window:
        yield note(f"{name} kept its window each time, and was out {len(judged.outages)} times for {length(total)}")
