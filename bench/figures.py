"""What is printed and kept: figures with their spread and target, and every raw measurement."""

from __future__ import annotations

import json
import os
import platform
import statistics
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.meter import Measured

RESULTS = Path(__file__).parent / "results"
SECONDS = " s"
TIMES = "×"
MEGABYTES = " MB"


@dataclass(frozen=True)
class Figure:
    """A measured figure, one value for each round, and the most that it should be."""

    title: str
    unit: str
    values: Sequence[float]
    target: float | None = None

    @property
    def median(self) -> float:
        """The middle of its values."""
        return statistics.median(self.values)

    @property
    def verdict(self) -> str:
        """Whether the median meets the target."""
        if self.target is None:
            return ""
        return "met" if self.median <= self.target else "NOT MET"

    def as_row(self) -> list[str]:
        """Title, target, measured, verdict."""
        spread = f"{self.median:.2f}{self.unit} ({min(self.values):.2f}–{max(self.values):.2f})"
        target = "" if self.target is None else f"≤ {self.target:g}{self.unit}"
        return [self.title, target, spread, self.verdict]

    def as_json(self) -> dict[str, Any]:
        """The same for the file."""
        values = [round(value, 4) for value in self.values]
        spread = {"median": round(self.median, 4), "min": min(values), "max": max(values)}
        return {
            "title": self.title,
            "unit": self.unit.strip(),
            **spread,
            "target": self.target,
            "met": self.verdict == "met" if self.target is not None else None,
            "values": values,
        }


@dataclass
class Book:
    """Keeps the raw measurements of a run, in order."""

    raw: list[dict[str, Any]] = field(default_factory=list)
    _seen: dict[tuple[str, str], list[Measured]] = field(default_factory=dict)

    def add(self, what: str, who: str, measured: Measured, **more: Any) -> None:
        """Keep one measurement, and say it."""
        self._seen.setdefault((what, who), []).append(measured)
        number = len(self._seen[what, who])
        self.raw.append({"what": what, "who": who, "round": number, **measured.as_json(), **more})
        print(
            f"  {what:<20} {who:<32} {measured.seconds:7.2f} s  work over two cores {measured.over_two_cores:6.2f} s"
            f"  others {measured.others:6.2f} s",
            flush=True,
        )

    def disturbance(self) -> float:
        """Processor time of others for each second that was measured; an idle machine has a few hundredths."""
        seconds = [each.seconds for runs in self._seen.values() for each in runs]
        others = [each.others for runs in self._seen.values() for each in runs]
        return sum(others) / sum(seconds) if seconds else 0.0

    def seconds(self, what: str, who: str) -> list[float]:
        """The time of each round."""
        return [each.seconds for each in self.runs(what, who)]

    def runs(self, what: str, who: str) -> list[Measured]:
        """What was measured in each round."""
        return self._seen.get((what, who), [])

    def ratio(self, what: str, who: str, against: str, *, title: str, target: float | None = None) -> list[Figure]:
        """The times of one divided by the other's, pair by pair; nothing where there is no pair."""
        pairs = zip(self.seconds(what, who), self.seconds(what, against), strict=False)
        values = [mine / theirs for mine, theirs in pairs]
        return [Figure(title, TIMES, values, target)] if values else []

    def times(self, what: str, who: str, *, title: str, target: float | None = None) -> list[Figure]:
        """The times themselves."""
        values = self.seconds(what, who)
        return [Figure(title, SECONDS, values, target)] if values else []


def print_table(figures: Sequence[Figure]) -> None:
    """All figures, one in a line."""
    rows = [["FIGURE", "TARGET", "MEDIAN (MIN–MAX)", ""], *[figure.as_row() for figure in figures]]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def machine(versions: Mapping[str, str]) -> dict[str, Any]:
    """What the figures depend on and may be told of the machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    own = {"python": platform.python_version(), "linux": platform.release().partition("-")[0]}
    return {
        "cores": os.cpu_count(),
        "memory_bytes": memory,
        "architecture": platform.machine(),
        "versions": {**own, **versions},
    }


def keep(document: Mapping[str, Any], began: datetime) -> str:
    """Write the results of a run; returns the file's name below the project."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{began.astimezone(UTC).strftime('%Y%m%dT%H%M%SZ')}.json"
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return f"{RESULTS.parent.name}/{RESULTS.name}/{file.name}"
