"""How windows and costs are said to people. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drkit.posture.outlook import Row
    from drkit.posture.paths import Prediction
    from drkit.posture.rules.rule import Finding

_WHOLE = 0.995


def window(found: Prediction) -> str:
    """``47.5 ± 7.5 s``; ``none``; ``until it is undone``."""
    share = f", {found.share:.0%} of questions" if found.share < _WHOLE else ""
    if found.lasting:
        return f"until it is undone{share}"
    if not found.seconds + found.error:
        return "none"
    return f"{found.seconds:.1f} ± {found.error:.1f} s{share}"


def parts(found: Prediction) -> str:
    """``detection 47.5, endpoint removal 1.0``; nothing where nothing but the undo ends it."""
    return "" if found.lasting else ", ".join(f"{name} {seconds:.1f}" for name, seconds in found.parts)


def cost(finding: Finding) -> str:
    """What it costs: seconds, data, or both; empty where that is not the point."""
    spent = "" if finding.seconds is None else f"up to {finding.seconds:.0f} s"
    return "; ".join(filter(None, (spent, f"data: {finding.data}" if finding.data else "")))


def compared(rows: tuple[Row, ...], before: tuple[Row, ...]) -> list[tuple[Row, str]]:
    """Each row, and what it was before; empty where that is the same or nothing was asked for."""
    known = {(row.probe, row.failure): row.prediction for row in before}
    found = []
    for row in rows:
        was = known.get((row.probe, row.failure))
        found.append((row, "" if was is None or was == row.prediction else window(was)))
    return found
