"""A record that is still being written, followed: how each probe fares now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.drill.record import LARGEST_LINE, OK, Asked, from_line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from drkit.drill.record import Entry

Series = tuple[str, bool]
"""A probe's name, and whether it is its long-lived session."""


@dataclass(frozen=True)
class Faring:
    """How one series of questions fares.

    Attributes:
        asked: how many there were.
        failed: how many of them failed, or have an unknown outcome.
        in_a_row: successes since the last failure.
        well_since: when the first of these was to leave; None after a failure.
        newest: when the newest one was to leave.
        said: why the last failure failed.
    """

    asked: int = 0
    failed: int = 0
    in_a_row: int = 0
    well_since: float | None = None
    newest: float = 0.0
    said: str = ""

    def after(self, asked: Asked) -> Faring:
        """What it is after one more answer."""
        newest = max(self.newest, asked.due)
        if asked.outcome != OK:
            return Faring(self.asked + 1, self.failed + 1, 0, None, newest, asked.said or asked.outcome)
        since = asked.due if self.well_since is None else self.well_since
        return Faring(self.asked + 1, self.failed, self.in_a_row + 1, since, newest, self.said)


def unwell(faring: Iterable[tuple[Series, Faring]], now: float, seconds: float, stale: float) -> list[str]:
    """The series that have not been well for so long, each with why. Pure.

    Args:
        faring: of all series that there should be.
        now: seconds since the record's begin.
        seconds: how long each of them has to be well.
        stale: without an answer for so many seconds, nothing is known of a series.
    """
    found = []
    for (name, session), each in faring:
        shown = f"{name} (session)" if session else name
        if not each.asked:
            found.append(f"{shown} has not answered yet")
        elif now - each.newest > stale:
            found.append(f"{shown} has had no answer for {now - each.newest:.0f} s")
        elif each.well_since is None:
            found.append(f"{shown} fails: {each.said}")
        elif now - each.well_since < seconds:
            found.append(f"{shown} is well for {max(0.0, now - each.well_since):.0f} s")
    return found


class Live:
    """Follows a record. For one thread.

    Args:
        path: the record.
        expected: the series that there will be.
    """

    def __init__(self, path: Path, expected: Iterable[Series]) -> None:
        self._path = path
        self._position = 0
        self._faring: dict[Series, Faring] = {each: Faring() for each in expected}

    def look(self) -> dict[Series, Faring]:
        """How each series fares, by all that is written by now."""
        with self._path.open("rb") as file:
            file.seek(self._position)
            while (line := file.readline(LARGEST_LINE)).endswith(b"\n"):
                self._position = file.tell()
                self._take(from_line(line))
        return dict(self._faring)

    def _take(self, entry: Entry | None) -> None:
        if isinstance(entry, Asked) and (entry.probe, entry.session) in self._faring:
            series = entry.probe, entry.session
            self._faring[series] = self._faring[series].after(entry)
