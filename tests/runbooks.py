"""The runbooks' pages: their parts, and the commands on them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(__file__).parents[1] / "runbooks"
AUDIT = DIRECTORY / "audit"
"""Pages about what the audit finds; each serves a family of its rules."""
ALERTS = DIRECTORY / "alerts"
"""Pages about the alerts of ``monitoring/rules.yml``; each serves a family of them."""
INDEX = "README.md"
_FENCE = re.compile(r"^```(\w+)(?: exit=(\d+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """Commands that are given together.

    Attributes:
        text: what is typed into a shell.
        status: what the last of them ends with.
    """

    text: str
    status: int


@dataclass(frozen=True)
class Page:
    """One page, as it is written."""

    name: str
    text: str

    @property
    def headings(self) -> list[str]:
        """Of its sections, in their order."""
        return re.findall(r"^## (.*)$", self.text, re.MULTILINE)

    @property
    def blocks(self) -> list[Block]:
        """Its commands, in their order."""
        return [
            Block(text, int(status or 0)) for language, status, text in _FENCE.findall(self.text) if language == "sh"
        ]

    @property
    def settings(self) -> list[str]:
        """What it says to write into ``drkit.yaml``."""
        return [text for language, _, text in _FENCE.findall(self.text) if language == "yaml"]

    @property
    def links(self) -> list[str]:
        """The files that it refers to, without what comes after a ``#``."""
        return [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", self.text)]


def pages(directory: Path = DIRECTORY) -> dict[str, Page]:
    """All pages but the index, by their names without ``.md``."""
    return {
        file.stem: Page(file.stem, file.read_text(encoding="utf-8"))
        for file in sorted(directory.glob("*.md"))
        if file.name != INDEX
    }


def index(directory: Path = DIRECTORY) -> Page:
    """The index."""
    return Page("README", (directory / INDEX).read_text(encoding="utf-8"))
