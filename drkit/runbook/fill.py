"""A page with the user's own names in the place of its examples. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from drkit.runbook.names import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drkit.runbook.pages import Page

_PATTERN: Final = re.compile("|".join(f"({each.pattern})" for each in EXAMPLES), re.MULTILINE)
_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]*\Z")
"""Names go into commands that people paste into a shell."""
_DATABASE: Final = re.compile(r"[a-z_][a-z0-9_]*\Z")
"""Into statements as well, where others would need quotes."""


@dataclass(frozen=True)
class Filled:
    """A page for printing.

    Attributes:
        situation: its name; likewise ``title``.
        text: Markdown.
        names: the examples that were replaced, by what they stand for, and by what.
        examples: those that still stand there, by what they stand for.
        notes: what is to be known before it is used.
    """

    situation: str
    title: str
    text: str
    names: Mapping[str, str]
    examples: Mapping[str, str]
    notes: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "situation": self.situation,
            "title": self.title,
            "names": dict(self.names),
            "examples": dict(self.examples),
            "notes": list(self.notes),
            "text": self.text,
        }

    @property
    def head(self) -> tuple[str, ...]:
        """The notes, and which names on it are not the user's."""
        listed = ", ".join(f"{name} ({key})" for key, name in self.examples.items())
        return (*self.notes, *([f"Examples, and not your names: {listed}."] if listed else []))


def fill(page: Page, own: Mapping[str, str], notes: Sequence[str] = ()) -> Filled:
    """Put the user's names into a page.

    Args:
        page: as it ships.
        own: names by what they stand for; one that a shell would take for more than a name is left out.
        notes: see ``Filled``.
    """
    names: dict[str, str] = {}
    examples: dict[str, str] = {}

    def put(match: re.Match[str]) -> str:
        example = EXAMPLES[(match.lastindex or 1) - 1]
        name = own.get(example.key, "")
        if (_DATABASE if example.key == "database" else _SAFE).match(name):
            names[example.key] = name
            return name
        examples[example.key] = match[0].strip('"')
        return match[0]

    return Filled(page.situation, page.title, _PATTERN.sub(put, page.text), names, examples, notes)
