"""Which pages there are: those of ``runbooks/``, which ship with drkit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import drkit
from drkit.errors import UsageError
from drkit.posture.rules import RULES

DIRECTORY: Final = "runbooks"
_INDEX: Final = "README.md"
_LINK: Final = re.compile(r"\[([^\]]+)\]\(([^)#\s]*)(?:#[^)]*)?\)")
_ENDING: Final = re.compile(r"^(```\w+) exit=\d+$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        situation: its name: ``every-server-lost``, ``audit/timing``.
        title: its heading.
        text: what stands below that, as Markdown; links to other pages name the command that prints them.
    """

    situation: str
    title: str
    text: str


def shipped() -> Path:
    """The directory of the pages: in the package where it is installed, beside it in its repository."""
    package = Path(drkit.__file__).parent
    inside = package / DIRECTORY
    return inside if inside.is_dir() else package.parent / DIRECTORY


def pages(directory: Path) -> tuple[Page, ...]:
    """All pages, those of the situations first, then those of the audit; each by name."""
    files = (each for each in directory.rglob("*.md") if each.name != _INDEX)
    return tuple(_page(directory, file) for file in sorted(files, key=lambda file: (file.parent, file.name)))


def named(known: tuple[Page, ...], situation: str) -> Page:
    """The page of a situation, by its name or by the id of a rule of the audit.

    Raises:
        UsageError: there is none.
    """
    rule = next((each.runbook for each in RULES if each.id == situation), "")
    wanted = {situation, f"audit/{situation}", rule.removeprefix(f"{DIRECTORY}/").removesuffix(".md")}
    for page in known:
        if page.situation in wanted:
            return page
    raise UsageError(
        f"no page about {situation!r}", "drkit runbook lists the situations; a rule's id of the audit will do, too"
    )


def _page(directory: Path, file: Path) -> Page:
    heading, _, rest = file.read_text(encoding="utf-8").partition("\n")
    where = file.parent.relative_to(directory)

    def told(link: re.Match[str]) -> str:
        words, target = link.groups()
        if not target.endswith(".md"):
            return words
        if target.endswith(_INDEX):
            return f"{words} (drkit runbook)"
        return f"{words} (`drkit runbook {_within(where / target)}`)"

    situation = _within(where / file.name)
    # How a command is to end is for the test that runs it.
    return Page(situation, heading.removeprefix("# ").strip(), _LINK.sub(told, _ENDING.sub(r"\1", rest.strip("\n"))))


def _within(path: Path) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    return "/".join(parts).removesuffix(".md")
