"""The drills that this machine has seen: their records, and the verdict on each beside it.

A run is ``drills/<run>.jsonl`` in drkit's state directory, its verdict ``<run>.verdict.json``, which is
``Verdict.as_json()``. A run's name begins with its time in UTC, such as ``20261122T024500Z-worker-down``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.drill import raw
from drkit.state import state_dir, write_durably

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from drkit.drill.verdict import Verdict

RECORD, VERDICT = ".jsonl", ".verdict.json"
_RUN = re.compile(r"\d{8}T\d{6}Z-[a-z0-9-]{1,63}")
_LARGEST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Past:
    """A run that has a verdict.

    Attributes:
        started: when, RFC 3339 in UTC.
        outcome: ``kept``, ``exceeded``, ``lost`` or ``invalid``.
        document: the whole verdict, as JSON has it.
    """

    run: str
    scenario: str
    cluster: str
    started: str
    outcome: str
    document: dict[str, Any]


def directory() -> Path:
    """Where records and verdicts are; made where it is not there."""
    found = state_dir() / "drills"
    found.mkdir(mode=0o700, exist_ok=True)
    return found


def run_name(scenario: str, begun: datetime) -> str:
    """What the run of a scenario is called; ``begun`` is in UTC."""
    return f"{begun:%Y%m%dT%H%M%SZ}-{scenario}"


def record_path(run: str) -> Path:
    """Where a run's record is."""
    return directory() / f"{run}{RECORD}"


def keep(verdict: Verdict) -> Path:
    """Keep a verdict beside its run's record, in place of an earlier one on the same run; returns where."""
    path = directory() / f"{verdict.run}{VERDICT}"
    write_durably(path, json.dumps(verdict.as_json(), ensure_ascii=False) + "\n")
    return path


def past(scenario: str | None = None) -> Iterator[Past]:
    """The runs that have a verdict, the newest first. What is no verdict, as after a crash, is passed over.

    Args:
        scenario: of this one alone.
    """
    for path in sorted(directory().glob(f"*{VERDICT}"), reverse=True):
        run = path.name.removesuffix(VERDICT)
        if _RUN.fullmatch(run) and scenario in {None, run.partition("-")[2]} and (found := _read(run, path)):
            yield found


def newest() -> dict[str, Past]:
    """The newest verdict on each scenario that has one."""
    found: dict[str, Past] = {}
    for each in past():
        found.setdefault(each.scenario, each)
    return found


def _read(run: str, path: Path) -> Past | None:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            return None
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    outcome, scenario = raw.text(document, "outcome"), run.partition("-")[2]
    if not outcome:
        return None
    return Past(run, scenario, raw.text(document, "cluster"), raw.text(document, "started"), outcome, document)
