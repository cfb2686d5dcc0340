"""What reports share that are one HTML page and need nothing else: no script, no font, nothing from elsewhere. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from drkit.observe.text import markup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_STYLE = Path(__file__).with_name("page.css")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def document(title: str, style: Path, body: Iterable[str], foot: str) -> str:
    """A page.

    Args:
        title: its first heading too.
        style: the file of the styles that it has beside those of all reports.
        body: markup, line by line.
        foot: text of its last line.
    """
    styles = "".join(each.read_text(encoding="utf-8") for each in (_STYLE, style))
    return "\n".join(
        (
            f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{markup(title)}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<style>\n{styles}</style>\n</head>\n<body>\n<main>\n<h1>{markup(title)}</h1>",
            *body,
            f"</main>\n<footer>{markup(foot)}</footer>\n</body>\n</html>\n",
        )
    )


def facts(shown: Iterable[tuple[str, str, str]]) -> str:
    """Few figures, large: what each is, its value, and ``small`` where it is long."""
    cells = (f'<div class="{look}"><dt>{what}</dt><dd>{markup(value)}</dd></div>' for what, value, look in shown)
    return f'<dl class="facts">{"".join(cells)}</dl>'


def remarks(heading: str, said: Sequence[str], look: str = "") -> Iterator[str]:
    """A list of sentences; nothing where there is none."""
    if said:
        yield f'<h2>{heading}</h2>\n<ul class="remarks {look}">'
        yield from (f"<li>{markup(each)}</li>" for each in said)
        yield "</ul>"


def table(heading: str, columns: Sequence[tuple[str, int]], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table; columns that are marked hold figures."""
    looks = [' class="number"' if number else "" for _, number in columns]
    yield f'<h2>{heading}</h2>\n<div class="wide">\n<table>\n<thead><tr>'
    yield "".join(f'<th scope="col"{look}>{name}</th>' for (name, _), look in zip(columns, looks, strict=True))
    yield "</tr></thead>\n<tbody>"
    for row in rows:
        cells = (f"<td{look}>{markup(cell)}</td>" for cell, look in zip(row, looks, strict=True))
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody>\n</table>\n</div>"
