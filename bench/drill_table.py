"""``python -m bench.drill_table``: the README's table of drills, from the verdicts that this machine has kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.drill import history
from drkit.drill.report import files, trend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.drill.report.trend import Trend


def rows(trends: list[Trend]) -> Iterator[str]:
    """A row for each probe that a scenario judges."""
    yield "| scenario | probe | window | median | worst | runs |"
    yield "|---|---|---|---|---|---|"
    for each in trends:
        for line in each.lines:
            window = line.points[-1].window
            if window is not None and line.median is not None and line.worst is not None:
                figures = f"{window:.0f} s | {line.median:.1f} s | {line.worst:.1f} s | {line.of}"
                yield f"| `{each.scenario}` | {line.probe} | {figures} |"


if __name__ == "__main__":
    verdicts, _ = files.past(history.directory())
    names = sorted({each.scenario for each in verdicts})
    print("\n".join(rows([trend.of(name, verdicts) for name in names])))
