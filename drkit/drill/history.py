"""The drills that this machine has seen: where their records are, and how each scenario ended last.

A run is ``drills/<run>.jsonl`` in drkit's state directory, its verdict ``<run>.verdict.json``, which is
``Verdict.as_json()`` (``drkit.drill.report.files`` writes it). A run's name begins with its time in UTC, such as
``20261122T024500Z-worker-down``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.cluster import fields
from drkit.state import state_dir

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

RECORD, VERDICT = ".jsonl", ".verdict.json"
_RUN = re.compile(r"\d{8}T\d{6}Z-[a-z0-9-]{1,63}")
_LARGEST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Past:
    """A run that has a verdict.

    Attributes:
        started: when, RFC 3339 in UTC.
        outcome: ``kept``, ``exceeded``, ``lost`` or ``invalid``.
    """

    run: str
    cluster: str
    started: str
    outcome: str


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


def newest_record() -> Path | None:
    """The record of the newest run; None where there was none."""
    return max((each for each in directory().glob(f"*{RECORD}") if _RUN.fullmatch(each.stem)), default=None)


def newest(cluster: str | None = None) -> dict[str, Past]:
    """The newest verdict on each scenario that has one. What is no verdict, as after a crash, is passed over.

    Args:
        cluster: only its drills; those of all clusters where it is left out.
    """
    found: dict[str, Past] = {}
    for path in sorted(directory().glob(f"*{VERDICT}"), reverse=True):
        run = path.name.removesuffix(VERDICT)
        scenario = run.partition("-")[2]
        known = _RUN.fullmatch(run) and scenario not in found
        if known and (past := _read(run, path)) and cluster in {None, past.cluster}:
            found[scenario] = past
    return found


def newest_verdicts() -> list[Any]:
    """The newest verdict on each scenario that has one, as ``Verdict.as_json()`` gave it."""
    return [_document(directory() / f"{past.run}{VERDICT}") for past in newest().values()]


def _document(path: Path) -> Any:
    """What is in a file; None where it is no document."""
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.stat().st_size <= _LARGEST_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None


def _read(run: str, path: Path) -> Past | None:
    document = _document(path)
    outcome = fields.text(document, "outcome")
    return Past(run, fields.text(document, "cluster"), fields.text(document, "started"), outcome) if outcome else None
