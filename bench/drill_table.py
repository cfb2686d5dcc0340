"""The README's table of drills, from the verdicts that are kept in ``results/drills.json``.

``python -m bench.drill_table --keep 15/10/3`` adds what this machine has measured, with the load balancer's checks
being those; without it the table is printed as it is. A row is the worst probe of a kind over new connections: the
longest outage of each of the last valid runs, in the median and at worst.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from bench.figures import RESULTS
from drkit.drill import history
from drkit.drill.report import files
from drkit.drill.report.trend import LAST
from drkit.drill.verdict import INVALID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from drkit.drill.verdict import Series, Verdict

_KEPT = RESULTS / "drills.json"
_ASKED = {"http": "page", "sql-write": "write", "sql-read": "read", "dns": "name", "kube-api": "API", "tcp": "port"}
"""What the rows call the kinds of probes, in their order."""


@dataclass(frozen=True)
class Worst:
    """The probe of a kind that was out for longest: seconds, what it was allowed, what was expected and its error."""

    window: float
    seconds: float
    predicted: float | None
    predicted_error: float | None


@dataclass(frozen=True)
class Measured:
    """One run: its scenario, its outcome, how many acknowledged writes were lost, and the worst of each kind asked."""

    scenario: str
    started: str
    outcome: str
    checks: str
    lost: int
    worst: dict[str, Worst]


_RUNS = TypeAdapter(dict[str, Measured])


def measured(made: Verdict, checks: str) -> Measured:
    """What a verdict says.

    Args:
        made: the verdict.
        checks: of the load balancer: interval, timeout, retries.
    """
    of_kind: dict[str, list[Series]] = defaultdict(list)
    for each in made.series:
        if each.window is not None and not each.session:
            of_kind[each.kind].append(each)
    chosen = {kind: max(found, key=lambda each: each.longest) for kind, found in of_kind.items()}
    worst = {
        kind: Worst(each.window or 0.0, each.longest, each.predicted, each.predicted_error)
        for kind, each in chosen.items()
    }
    lost = sum(len(each.lost) for each in made.ledgers)
    return Measured(made.scenario, made.started, made.outcome, checks, lost, worst)


def rows(runs: Iterable[Measured]) -> Iterator[str]:
    """A row for each kind of probe that a scenario judges, with a pair of columns for each of the balancer's checks."""
    valid = sorted((each for each in runs if each.outcome != INVALID), key=lambda each: each.started)
    checks = list(dict.fromkeys(sorted((each.checks for each in valid), key=_by_interval, reverse=True)))
    head = ["scenario", "asked", "window", *(f"{each}: median | worst | runs" for each in checks), "predicted", "lost"]
    yield f"| {' | '.join(head)} |"
    yield "|---" * (4 + 3 * len(checks) + 1) + "|"
    for scenario in sorted({each.scenario for each in valid}):
        here = [each for each in valid if each.scenario == scenario]
        for kind, asked in _ASKED.items():
            if any(kind in each.worst for each in here):
                yield f"| {' | '.join(_row(scenario, kind, asked, here, checks))} |"


def _by_interval(checks: str) -> float:
    return float(checks.partition("/")[0])


def _row(scenario: str, kind: str, asked: str, runs: Sequence[Measured], checks: Sequence[str]) -> Iterator[str]:
    newest = [each for each in runs if kind in each.worst][-1].worst[kind]
    yield from (f"`{scenario}`", asked, f"{newest.window:.0f} s")
    for each in checks:
        seconds = [run.worst[kind].seconds for run in runs if run.checks == each and kind in run.worst][-LAST:]
        yield f"{median(seconds):.1f} s | {max(seconds):.1f} s | {len(seconds)}" if seconds else "– | – | 0"
    known = newest.predicted is not None and newest.predicted_error is not None
    yield f"{newest.predicted:.1f} ± {newest.predicted_error:.1f} s" if known else "–"
    yield str(sum(each.lost for each in runs))


def _read() -> dict[str, Measured]:
    return _RUNS.validate_json(_KEPT.read_bytes()) if _KEPT.exists() else {}


def _keep(runs: dict[str, Measured], checks: str) -> dict[str, Measured]:
    verdicts, _ = files.past(history.directory())
    found = {each.run: measured(each, checks) for each in verdicts if each.run not in runs}
    together = dict(sorted((runs | found).items()))
    _KEPT.write_text(json.dumps({run: asdict(each) for run, each in together.items()}, indent=1) + "\n")
    return together


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", metavar="INTERVAL/TIMEOUT/RETRIES", help="first add what this machine has measured")
    wanted = parser.parse_args().keep
    print("\n".join(rows((_keep(_read(), wanted) if wanted else _read()).values())))
