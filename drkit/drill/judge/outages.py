"""The times in which a probe failed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.drill.verdict import Outage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drkit.drill.judge.collected import Question

LATE_SECONDS = 0.010
"""How late a question may leave and still count as asked when it was due."""


@dataclass
class _Open:
    """An outage that has begun.

    Attributes:
        begun: the place of its first failure among the questions.
        failing: that of its last one so far.
        failed: how many failed.
        right: successes in a row since.
    """

    begun: int
    failing: int
    failed: int = 1
    right: int = 0


def outages(questions: Sequence[Question], every: float, needed: int) -> list[Outage]:
    """The outages of one series, in order.

    One begins with the first question that fails and ends with the first of ``needed`` successes in a row: one success
    alone ends nothing. An unknown outcome is none that a user could have gone on with: it counts as a failure.

    Args:
        questions: in the order in which they were due.
        every: seconds from one to the next.
        needed: successes in a row that end an outage; at least 1.
    """
    found: list[Outage] = []
    now: _Open | None = None
    for place, question in enumerate(questions):
        if not question.ok:
            if now is None:
                now = _Open(place, place)
            else:
                now.failing, now.failed, now.right = place, now.failed + 1, 0
        elif now is not None:
            now.right += 1
            if now.right == needed:
                found.append(_closed(questions, now, place - needed + 1, every))
                now = None
    if now is not None:
        found.append(_closed(questions, now, None, every))
    return found


def _closed(questions: Sequence[Question], outage: _Open, success: int | None, every: float) -> Outage:
    first, last = questions[outage.begun], questions[outage.failing]
    until = questions[-1] if success is None else questions[success]
    sent = (len(questions) if success is None else success) - outage.begun
    # The true begin lies between the success before and the first failure, the true end likewise.
    edges = (*questions[max(0, outage.begun - 1) : outage.begun + 1], last, until)
    late = round(max(each.late for each in edges), 6)
    return Outage(
        first_failure=first.due,
        last_failure=last.due,
        first_success=None if success is None else until.due,
        seconds=round(until.due - first.due, 6),
        error=round(every + (late if late >= LATE_SECONDS else 0.0), 6),
        failed=outage.failed,
        sent=sent,
        flapped=sent - outage.failed,
    )
