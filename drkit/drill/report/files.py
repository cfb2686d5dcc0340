"""Where the reports of a drill go: beside its record. What reads and writes them; all else here is pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from drkit import state
from drkit.drill import record
from drkit.drill.report import junit, page, trend_page
from drkit.drill.verdict import EXIT_CODES, Verdict
from drkit.masking import mask

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from drkit.drill.report.suite import Total
    from drkit.drill.report.trend import Trend

_RECORD, _VERDICT = ".jsonl", ".verdict.json"
_VERDICTS = TypeAdapter(Verdict)


@dataclass(frozen=True)
class Files:
    """The record of a drill, and what is told of it."""

    record: Path
    verdict: Path
    page: Path
    junit: Path

    def as_json(self) -> dict[str, str]:
        """For scripts, under ``files``."""
        return {
            "record": str(self.record),
            "verdict": str(self.verdict),
            "page": str(self.page),
            "junit": str(self.junit),
        }


def beside(path: Path) -> Files:
    """The places of the reports of a record."""
    name = path.name.removesuffix(_RECORD)
    return Files(path, *(path.with_name(f"{name}{ending}") for ending in (_VERDICT, ".html", ".junit.xml")))


def write(path: Path, made: Verdict) -> Files:
    """Write all reports of a drill, each whole or not at all, and tell where they are.

    Args:
        path: the record that the verdict is of.
        made: the verdict.

    Raises:
        OSError: the record cannot be read, or there is no room.
    """
    files = beside(path)
    _write(files.verdict, json.dumps(made.as_json(), indent=2, ensure_ascii=False) + "\n")
    _write(files.junit, junit.xml([made]))
    _write(files.page, page.html(made, list(record.read(path))))
    return files


def document(made: Verdict, files: Files) -> dict[str, Any]:
    """A verdict for ``--json``, with the paths of what was written."""
    return {**made.as_json(), "files": files.as_json()}


def write_trend(directory: Path, trend: Trend) -> Path:
    """Write a trend's page beside the records, and tell where it is."""
    path = directory / f"{trend.scenario}.trend.html"
    _write(path, trend_page.html(trend))
    return path


def write_total(directory: Path, name: str, total: Total) -> tuple[Path, Path]:
    """Write a suite's JSON and JUnit XML under this name beside the records, and tell where they are."""
    as_json, xml = directory / f"{name}.suite.json", directory / f"{name}.junit.xml"
    _write(as_json, json.dumps(total.as_json(), indent=2, ensure_ascii=False) + "\n")
    _write(xml, junit.xml(total.verdicts, total.unrun))
    return as_json, xml


def _write(path: Path, text: str) -> None:
    state.write_durably(path, mask(text))


def read(path: Path) -> Verdict:
    """The verdict of a file that ``write`` made.

    Raises:
        ValueError: it has none.
        OSError: it cannot be read.
    """
    try:
        made = _VERDICTS.validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path.name} has no verdict: {where}: {first['msg']}") from None
    if made.outcome not in EXIT_CODES:
        raise ValueError(f"{path.name} has no verdict: outcome {made.outcome!r}")
    return made


def past(directory: Path) -> tuple[list[Verdict], list[str]]:
    """The verdicts of all drills whose records are there, and what is wrong with those that cannot be read."""
    found: list[Verdict] = []
    wrong: list[str] = []
    for path in _verdicts(directory):
        try:
            found.append(read(path))
        except (ValueError, OSError) as error:
            wrong.append(str(error))
    return found, wrong


def _verdicts(directory: Path) -> Sequence[Path]:
    return sorted(directory.glob(f"*{_VERDICT}"))
