"""A record that is judged again: what a drill ends with, and what ``drkit drill report FILE`` shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from drkit.drill.judge.judge import judge
from drkit.drill.record import FORMAT, LARGEST_LINE, Begin, from_line
from drkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drkit.drill.record import Entry
    from drkit.drill.verdict import Verdict


def read(path: Path) -> Verdict:
    """The verdict of a record; the same each time. Lines that a crash cut short are passed over.

    Raises:
        UsageError: there is no such file, it is no record of a drill, or one of a newer drkit.
    """
    try:
        return judge(_entries(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", _HINT) from None
    except (ValueError, TypeError, AttributeError) as error:  # whoever wrote it may have put anything anywhere
        raise UsageError(f"{path} is no record of a drill: {error}", _HINT) from None


_HINT = "name the record that a drill wrote: a file of JSON lines, whose path `drkit drill run` says"


def _entries(path: Path) -> Iterator[Entry]:
    with path.open("rb") as file:
        while line := file.readline(LARGEST_LINE):
            try:
                entry = from_line(line)
            except (ValueError, TypeError):  # an entry with something else in it than belongs there
                entry = None
            if isinstance(entry, Begin) or (entry is None and b'"begin"' in line):
                _check_format(path, line)
            if entry is not None:
                yield entry


def _check_format(path: Path, line: bytes) -> None:
    """A newer format is told from what is no record: its begin may have what this drkit does not know."""
    try:
        data = json.loads(line)
    except ValueError:
        return
    found = data.get("format", FORMAT) if isinstance(data, dict) and data.get("entry") == Begin.kind else FORMAT
    if found != FORMAT:
        raise UsageError(
            f"{path} is a record of format {found!r}, and this drkit reads {FORMAT}",
            f"judge it with the drkit that wrote it, {data.get('version', 'a newer one')!s}, or one that is newer",
        )
