"""A runbook's page as one HTML page for printing: no script, no font, nothing from elsewhere. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from markdown_it import MarkdownIt

from drkit.observe import page as pages
from drkit.observe.text import printable

if TYPE_CHECKING:
    from drkit.runbook.fill import Filled

_STYLE: Final = Path(__file__).with_name("sheet.css")


def html(filled: Filled, foot: str) -> str:
    """The page.

    Args:
        filled: with the user's names.
        foot: its last line.
    """
    # Names are text: markup in them stays what it is.
    made = MarkdownIt("commonmark", {"html": False}).enable("table")
    text = "\n".join(printable(line) for line in filled.text.splitlines())
    body = (*pages.remarks("Before you begin", filled.head), made.render(text))
    return pages.document(filled.title, _STYLE, body, foot)
