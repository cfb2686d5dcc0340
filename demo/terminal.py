"""What the demonstration says: headings, commands and tables, coloured on a terminal and plain everywhere else."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_STYLES = {"bold": "1", "dim": "2", "red": "1;31", "green": "32", "cyan": "36"}


class Terminal:
    """Writes to stdout, a line at a time, so that a log has everything in the order in which it happened."""

    def __init__(self) -> None:
        self._coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._headings = 0

    def heading(self, text: str) -> None:
        """The beginning of an act."""
        self._headings += 1
        self.line()
        self.line(self._styled(f"{self._headings}. {text}", "bold"))

    def line(self, text: str = "", style: str = "") -> None:
        """A line, as it is."""
        print(self._styled(text, style) if style else text, flush=True)

    def command(self, words: str) -> None:
        """A command that is about to run."""
        self.line()
        self.line(self._styled(f"$ {words}", "cyan"))

    def listing(self, text: str) -> None:
        """A file's content, set off from the rest."""
        for line in text.splitlines():
            self.line(f"    {line}", "dim")

    def table(self, rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> None:
        """Columns as wide as they need to be.

        Args:
            rows: the first is the heading. A cell in the first column that says ``ok`` or ``FAILED`` is coloured.
            numbers: the columns that are set flush right.
        """
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for number, row in enumerate(rows):
            cells = [
                cell.rjust(width) if column in numbers else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            style = "dim" if number == 0 else {"ok": "green", "FAILED": "red"}.get(row[0], "")
            cells[0] = self._styled(cells[0], style)
            rest = "  ".join(cells[1:]).rstrip()
            self.line("  " + cells[0] + "  " + (self._styled(rest, "dim") if number == 0 else rest))

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self._coloured and style else text
