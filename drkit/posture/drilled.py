"""Past drills: what they measured beside what was predicted for them, out of their verdicts. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.cluster import fields as look
from drkit.posture.snapshot import Drilled

if TYPE_CHECKING:
    from collections.abc import Iterator

_INVALID = "invalid"


def drilled(verdict: Any, cluster: str) -> Iterator[Drilled]:
    """The series of a verdict that had a prediction; none of an invalid run, or of another cluster's.

    Args:
        verdict: ``Verdict.as_json()``, as it is kept in a file.
        cluster: the name of the cluster that is judged.
    """
    if look.text(verdict, "cluster") != cluster or look.text(verdict, "outcome") == _INVALID:
        return
    for series in look.items(verdict, "series"):
        predicted, longest = look.number(series, "predicted"), look.number(series, "longest")
        if predicted is None or longest is None or look.at(series, "session") is True:
            continue
        errors = [look.number(each, "error") or 0.0 for each in look.items(series, "outages")]
        yield Drilled(
            run=look.text(verdict, "run"),
            probe=look.text(series, "probe"),
            predicted=predicted,
            predicted_error=look.number(series, "predicted_error") or 0.0,
            measured=longest,
            measured_error=max(errors, default=look.number(series, "every") or 0.0),
        )
